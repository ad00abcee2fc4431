import { type DynamicModule, Module } from '@nestjs/common';
import { Bus } from '#libs/messaging';
import { ClusterController } from './cluster/cluster.controller.js';
import { ClusterService } from './cluster/cluster.service.js';
import { ConsistencyApiController } from './cluster/consistency.controller.js';
import { ConsistencyClient } from './cluster/consistency-client.js';
import { OperatorController } from './cluster/operator.controller.js';
import { OperatorCommands } from './cluster/operator-commands.js';
import { SyncApiController } from './cluster/sync.controller.js';
import { NodeDirectory } from './nodes/node-directory.js';

@Module({})
export class GatewayModule {}

/** Wiring of what Nest serves; reads, writes and watches go by without it. */
export function gatewayModule(parts: { bus: Bus; directory: NodeDirectory }): DynamicModule {
  return {
    module: GatewayModule,
    controllers: [ClusterController, OperatorController, ConsistencyApiController, SyncApiController],
    providers: [
      { provide: Bus, useValue: parts.bus },
      { provide: NodeDirectory, useValue: parts.directory },
      ConsistencyClient,
      OperatorCommands,
      ClusterService,
    ],
  };
}
