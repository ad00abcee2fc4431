import { type DynamicModule, Module } from '@nestjs/common';
import { Publisher } from './commit/publisher.js';
import { Leadership } from './leadership/leadership.js';
import { ConfigNode } from './node.js';
import { ReplicaHost } from './replica/replica-host.js';
import { ConfigStore } from './store/config.store.js';

@Module({})
export class ConfigNodeModule {}

/** Wiring only: the parts are made by whoever starts the node, who also stops them. */
export function configNodeModule(engine: ConfigNode, store: ConfigStore): DynamicModule {
  return {
    module: ConfigNodeModule,
    providers: [
      { provide: ConfigNode, useValue: engine },
      { provide: ReplicaHost, useValue: engine.host },
      { provide: Leadership, useValue: engine.leadership },
      { provide: Publisher, useValue: engine.publisher },
      { provide: ConfigStore, useValue: store },
    ],
  };
}
