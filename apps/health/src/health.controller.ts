import { Controller, UseFilters } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type {
  EventPayload,
  HealthChanged,
  HealthListReply,
  HealthReport,
  HealthStanding,
  NodeHeartbeat,
} from '#libs/contracts';
import { type AskedRequest, BusErrorFilter } from '#libs/messaging';
import { HealthReports } from './health.reports.js';
import { HealthService } from './health.service.js';

/** The bus's door. Questions go to one instance of several; every instance hears the facts. */
@Controller()
@UseFilters(BusErrorFilter)
export class HealthController {
  constructor(
    private readonly health: HealthService,
    private readonly reports: HealthReports,
  ) {}

  @MessagePattern('health.report')
  report(@Payload() request: AskedRequest<'health.report'>): Promise<HealthReport> {
    return this.reports.of(request.nodeId);
  }

  @MessagePattern('health.list')
  list(): HealthListReply {
    return this.health.list();
  }

  @EventPattern<string>('health.changed')
  changed(@Payload() change: HealthChanged): void {
    this.health.heard(change);
  }

  @EventPattern<string>('health.standing')
  standing(@Payload() standing: HealthStanding): void {
    this.health.standing(standing);
  }

  @EventPattern<string>('node.heartbeat')
  heartbeat(@Payload() beat: NodeHeartbeat): void {
    this.health.heartbeat(beat);
  }

  @EventPattern<string>('node.registered')
  registered(@Payload() { node }: EventPayload<'node.registered'>): void {
    this.health.registered(node);
  }

  @EventPattern<string>('node.deregistered')
  deregistered(@Payload() fact: EventPayload<'node.deregistered'>): void {
    this.health.deregistered(fact);
  }
}
