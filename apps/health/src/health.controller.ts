import { Controller, UseFilters } from '@nestjs/common';
import type {
  EventPayload,
  HealthChanged,
  HealthListReply,
  HealthReport,
  HealthStanding,
  NodeHeartbeat,
} from '#libs/contracts';
import { Answers, type AskedRequest, BusErrorFilter, OnEvent } from '#libs/messaging';
import { HealthReports } from './health.reports.js';
import { HealthService } from './health.service.js';

/** What this service receives on the bus. One instance of several answers a request; every instance receives the events. */
@Controller()
@UseFilters(BusErrorFilter)
export class HealthController {
  constructor(
    private readonly health: HealthService,
    private readonly reports: HealthReports,
  ) {}

  @Answers('health.report')
  report(request: AskedRequest<'health.report'>): Promise<HealthReport> {
    return this.reports.of(request.nodeId);
  }

  @Answers('health.list')
  list(): HealthListReply {
    return this.health.list();
  }

  @OnEvent('health.changed')
  changed(change: HealthChanged): void {
    this.health.onEvidence(change);
  }

  @OnEvent('health.standing')
  standing(standing: HealthStanding): void {
    this.health.standing(standing);
  }

  @OnEvent('node.heartbeat')
  heartbeat(beat: NodeHeartbeat): void {
    this.health.heartbeat(beat);
  }

  @OnEvent('node.registered')
  registered({ node }: EventPayload<'node.registered'>): void {
    this.health.registered(node);
  }

  @OnEvent('node.deregistered')
  deregistered(fact: EventPayload<'node.deregistered'>): void {
    this.health.deregistered(fact);
  }
}
