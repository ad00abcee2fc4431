import { type DynamicModule, Module } from '@nestjs/common';
import { Engine } from './engine/engine.js';
import { Leadership } from './engine/leadership.js';
import { Publisher } from './engine/publisher.js';
import { ReplicaHost } from './engine/replica-host.js';
import { ConfigStore } from './store/config.store.js';

@Module({})
export class ConfigNodeModule {}

/** Wiring only: the parts are made by whoever starts the node, who also stops them. */
export function configNodeModule(engine: Engine, store: ConfigStore): DynamicModule {
  return {
    module: ConfigNodeModule,
    providers: [
      { provide: Engine, useValue: engine },
      { provide: ReplicaHost, useValue: engine.host },
      { provide: Leadership, useValue: engine.leadership },
      { provide: Publisher, useValue: engine.publisher },
      { provide: ConfigStore, useValue: store },
    ],
  };
}
