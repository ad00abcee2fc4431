import { Controller, UseFilters } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { EventPayload, NodeHeartbeat, SyncReport } from '#libs/contracts';
import { BusErrorFilter } from '#libs/messaging';
import { SyncService } from './sync.service.js';

/** The bus's door. Questions go to one instance of several; every instance hears the facts. */
@Controller()
@UseFilters(BusErrorFilter)
export class SyncController {
  constructor(private readonly sync: SyncService) {}

  @MessagePattern('sync.report')
  report(): Promise<SyncReport> {
    return this.sync.report();
  }

  @EventPattern<string>('node.heartbeat')
  heartbeat(@Payload() beat: NodeHeartbeat): void {
    this.sync.heartbeat(beat);
  }

  @EventPattern<string>('node.deregistered')
  deregistered(@Payload() { nodeId }: EventPayload<'node.deregistered'>): Promise<void> {
    return this.sync.deregistered(nodeId);
  }
}
