import { Controller, UseFilters } from '@nestjs/common';
import type { ConsistencyCheckReply, ConsistencyReport, EventPayload, NodeHeartbeat } from '#libs/contracts';
import { Answers, type AskedRequest, BusErrorFilter, OnEvent } from '#libs/messaging';
import { ConsistencyService } from './consistency.service.js';

/** What this service receives on the bus. One instance of several answers a request; every instance receives the events. */
@Controller()
@UseFilters(BusErrorFilter)
export class ConsistencyController {
  constructor(private readonly consistency: ConsistencyService) {}

  @Answers('consistency.check')
  check({ repair }: AskedRequest<'consistency.check'>): Promise<ConsistencyCheckReply> {
    return this.consistency.check(repair);
  }

  @Answers('consistency.report')
  report(): Promise<ConsistencyReport> {
    return this.consistency.report();
  }

  @OnEvent('node.heartbeat')
  heartbeat(beat: NodeHeartbeat): void {
    this.consistency.heartbeat(beat);
  }

  @OnEvent('node.registered')
  registered({ node }: EventPayload<'node.registered'>): void {
    this.consistency.registered(node);
  }

  @OnEvent('node.deregistered')
  deregistered(fact: EventPayload<'node.deregistered'>): Promise<void> {
    return this.consistency.deregistered(fact);
  }
}
