import { Controller, UseFilters } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import {
  type FactPayload,
  type HandoverReply,
  type LeaderElected,
  type LeaderLost,
  type NodeHeartbeat,
  type NodeVerdict,
  Problem,
  type QuestionReply,
} from '#libs/contracts';
import { type AskedRequest, BusErrorFilter } from '#libs/messaging';
import { DetectorService } from './detector.service.js';
import { FailoverStore } from './failover.store.js';
import { HandoverService } from './handover.service.js';
import { HeadWatch } from './head-watch.js';
import { NodeWatch } from './node-watch.js';
import { WitnessService } from './witness.service.js';

/** The bus's door. Every instance hears the facts and answers as a witness; the other questions go to one of them. */
@Controller()
@UseFilters(BusErrorFilter)
export class FailoverController {
  constructor(
    private readonly nodes: NodeWatch,
    private readonly detector: DetectorService,
    private readonly witnesses: WitnessService,
    private readonly head: HeadWatch,
    private readonly handovers: HandoverService,
    private readonly store: FailoverStore,
  ) {}

  @MessagePattern('failover.witness', { queue: null })
  witness(@Payload() request: AskedRequest<'failover.witness'>): Promise<QuestionReply<'failover.witness'>> {
    return this.witnesses.answer(request);
  }

  @MessagePattern('failover.handover')
  handover(@Payload() request: AskedRequest<'failover.handover'>): Promise<HandoverReply> {
    return this.handovers.handOver(request.to);
  }

  @MessagePattern('failover.elections')
  async elections(
    @Payload() request: AskedRequest<'failover.elections'>,
  ): Promise<QuestionReply<'failover.elections'>> {
    try {
      return { elections: await this.store.elections(request.limit) };
    } catch (error) {
      throw new Problem('storage-unavailable', 'past elections are in the database', {}, { cause: error });
    }
  }

  @EventPattern<string>('node.heartbeat')
  heartbeat(@Payload() beat: NodeHeartbeat): void {
    this.nodes.heartbeat(beat);
    if (beat.term !== undefined) this.head.noteTerm(beat.term);
  }

  @EventPattern<string>('node.registered')
  registered(@Payload() { node }: FactPayload<'node.registered'>): void {
    this.nodes.registered(node);
  }

  @EventPattern<string>('node.deregistered')
  deregistered(@Payload() { nodeId, incarnation }: FactPayload<'node.deregistered'>): void {
    this.nodes.deregistered(nodeId, incarnation);
  }

  @EventPattern<string>('node.failed')
  failed(@Payload() verdict: NodeVerdict): void {
    this.detector.heard(verdict);
  }

  @EventPattern<string>('node.recovered')
  recovered(@Payload() verdict: NodeVerdict): void {
    this.detector.heard(verdict);
  }

  @EventPattern<string>('leader.lost')
  lost(@Payload() lost: LeaderLost): void {
    this.detector.leaderLost(lost);
  }

  @EventPattern<string>('leader.elected')
  elected(@Payload() elected: LeaderElected): void {
    this.head.elected(elected);
  }
}
