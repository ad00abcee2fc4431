import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import type { FactPayload, NodeHeartbeat } from '#libs/contracts';
import { SyncService } from './sync.service.js';

/** The bus's door. */
@Controller()
export class SyncController {
  constructor(private readonly sync: SyncService) {}

  @EventPattern<string>('node.heartbeat')
  heartbeat(@Payload() beat: NodeHeartbeat): void {
    this.sync.heartbeat(beat);
  }

  @EventPattern<string>('node.deregistered')
  deregistered(@Payload() { nodeId }: FactPayload<'node.deregistered'>): void {
    this.sync.deregistered(nodeId);
  }
}
