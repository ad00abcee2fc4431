import { Controller, UseFilters } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { ConsistencyCheckReply, ConsistencyReport, EventPayload, NodeHeartbeat } from '#libs/contracts';
import { type AskedRequest, BusErrorFilter } from '#libs/messaging';
import { ConsistencyService } from './consistency.service.js';

/** The bus's door. Questions go to one instance of several; every instance hears the facts. */
@Controller()
@UseFilters(BusErrorFilter)
export class ConsistencyController {
  constructor(private readonly consistency: ConsistencyService) {}

  @MessagePattern('consistency.check')
  check(@Payload() { repair }: AskedRequest<'consistency.check'>): Promise<ConsistencyCheckReply> {
    return this.consistency.check(repair);
  }

  @MessagePattern('consistency.report')
  report(): Promise<ConsistencyReport> {
    return this.consistency.report();
  }

  @EventPattern<string>('node.heartbeat')
  heartbeat(@Payload() beat: NodeHeartbeat): void {
    this.consistency.heartbeat(beat);
  }

  @EventPattern<string>('node.registered')
  registered(@Payload() { node }: EventPayload<'node.registered'>): void {
    this.consistency.registered(node);
  }

  @EventPattern<string>('node.deregistered')
  deregistered(@Payload() fact: EventPayload<'node.deregistered'>): Promise<void> {
    return this.consistency.deregistered(fact);
  }
}
