import { Controller, UseFilters } from '@nestjs/common';
import type { EventPayload, NodeHeartbeat, SyncReport } from '#libs/contracts';
import { Answers, BusErrorFilter, OnEvent } from '#libs/messaging';
import { SyncService } from './sync.service.js';

/** What this service receives on the bus. One instance of several answers a request; every instance receives the events. */
@Controller()
@UseFilters(BusErrorFilter)
export class SyncController {
  constructor(private readonly sync: SyncService) {}

  @Answers('sync.report')
  report(): Promise<SyncReport> {
    return this.sync.report();
  }

  @OnEvent('node.heartbeat')
  heartbeat(beat: NodeHeartbeat): void {
    this.sync.heartbeat(beat);
  }

  @OnEvent('node.deregistered')
  deregistered({ nodeId }: EventPayload<'node.deregistered'>): Promise<void> {
    return this.sync.deregistered(nodeId);
  }
}
