import { Controller, UseFilters } from '@nestjs/common';
import type { EventPayload, NodeHeartbeat, SyncReport } from '#libs/contracts';
import { Answers, BusErrorFilter, OnEvent } from '#libs/messaging';
import { SyncService } from './sync.service.js';

/** The bus's door. Questions go to one instance of several; every instance hears the facts. */
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
