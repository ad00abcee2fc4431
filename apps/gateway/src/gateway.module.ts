import { type DynamicModule, Module } from '@nestjs/common';
import { Bus } from '#libs/messaging';
import { ClusterController } from './cluster/cluster.controller.js';
import { ClusterService } from './cluster/cluster.service.js';
import { ConsistencyController } from './cluster/consistency.controller.js';
import { ConsistencyQuestions } from './cluster/consistency-questions.js';
import { OperatorController } from './cluster/operator.controller.js';
import { OperatorService } from './cluster/operator.service.js';
import { SyncController } from './cluster/sync.controller.js';
import { NodeDirectory } from './nodes/node-directory.js';

@Module({})
export class GatewayModule {}

/** Wiring of what Nest serves; reads, writes and watches go by without it. */
export function gatewayModule(parts: { bus: Bus; directory: NodeDirectory }): DynamicModule {
  return {
    module: GatewayModule,
    controllers: [ClusterController, OperatorController, ConsistencyController, SyncController],
    providers: [
      { provide: Bus, useValue: parts.bus },
      { provide: NodeDirectory, useValue: parts.directory },
      ConsistencyQuestions,
      OperatorService,
      ClusterService,
    ],
  };
}
