import { Controller, UseFilters } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import {
  type EventPayload,
  type HandoverReply,
  type HoldReply,
  type LeaderElected,
  type LeaderLost,
  type NodeHeartbeat,
  type NodeHold,
  type NodeVerdict,
  Problem,
  type ReplyPayload,
  type RestartReply,
} from '#libs/contracts';
import { crashOnDefect } from '#libs/kernel';
import { type AskedRequest, BusErrorFilter } from '#libs/messaging';
import { DetectorService } from './detection/detector.service.js';
import { WitnessService } from './detection/witness.service.js';
import { HandoverService } from './election/handover.service.js';
import { FailoverStore } from './failover.store.js';
import { LeaderHeadMonitor } from './head/leader-head-monitor.js';
import { NodeWatch } from './nodes/node-watch.js';
import { RestrictionsView } from './nodes/restrictions-view.js';
import { OperatorService } from './operator.service.js';
import { RecoveryStore } from './recovery/recovery.store.js';

/** The bus's door. Every instance hears the facts and answers as a witness; the other questions go to one of them. */
@Controller()
@UseFilters(BusErrorFilter)
export class FailoverController {
  constructor(
    private readonly nodes: NodeWatch,
    private readonly detector: DetectorService,
    private readonly witnesses: WitnessService,
    private readonly head: LeaderHeadMonitor,
    private readonly handovers: HandoverService,
    private readonly store: FailoverStore,
    private readonly recoveries: RecoveryStore,
    private readonly operator: OperatorService,
    private readonly holds: RestrictionsView,
  ) {}

  @MessagePattern('failover.witness', { queue: null })
  witness(@Payload() request: AskedRequest<'failover.witness'>): Promise<ReplyPayload<'failover.witness'>> {
    return this.witnesses.answer(request);
  }

  @MessagePattern('failover.handover')
  handover(@Payload() request: AskedRequest<'failover.handover'>): Promise<HandoverReply> {
    return this.handovers.handOver(request.to);
  }

  @MessagePattern('failover.elections')
  async elections(
    @Payload() request: AskedRequest<'failover.elections'>,
  ): Promise<ReplyPayload<'failover.elections'>> {
    return { elections: await stored(this.store.elections(request.limit)) };
  }

  @MessagePattern('failover.holds')
  async allHolds(): Promise<ReplyPayload<'failover.holds'>> {
    return { holds: await stored(this.recoveries.holds()) };
  }

  @MessagePattern('failover.recoveries')
  async steps(
    @Payload() { limit, nodeId }: AskedRequest<'failover.recoveries'>,
  ): Promise<ReplyPayload<'failover.recoveries'>> {
    return { recoveries: await stored(this.recoveries.steps(limit, nodeId)) };
  }

  @MessagePattern('failover.drain')
  drain(@Payload() { nodeId, drained, why }: AskedRequest<'failover.drain'>): Promise<HoldReply> {
    return this.operator.drain(nodeId, drained, why);
  }

  @MessagePattern('failover.release')
  release(@Payload() { nodeId, why }: AskedRequest<'failover.release'>): Promise<HoldReply> {
    return this.operator.release(nodeId, why);
  }

  @MessagePattern('failover.restart')
  restart(@Payload() { nodeId, why }: AskedRequest<'failover.restart'>): Promise<RestartReply> {
    return this.operator.restart(nodeId, why);
  }

  @EventPattern<string>('node.hold')
  held(@Payload() hold: NodeHold): void {
    this.holds.apply(hold);
  }

  @EventPattern<string>('node.heartbeat')
  heartbeat(@Payload() beat: NodeHeartbeat): void {
    this.nodes.heartbeat(beat);
    if (beat.term !== undefined && this.head.isOfCluster(beat.clusterId)) this.head.noteTerm(beat.term);
  }

  @EventPattern<string>('node.registered')
  registered(@Payload() { node }: EventPayload<'node.registered'>): void {
    this.nodes.registered(node);
  }

  @EventPattern<string>('node.deregistered')
  deregistered(@Payload() { nodeId, incarnation }: EventPayload<'node.deregistered'>): void {
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

async function stored<T>(rows: Promise<T>): Promise<T> {
  try {
    return await rows;
  } catch (error) {
    crashOnDefect(error);
    throw new Problem('storage-unavailable', 'what is past is in the database', {}, { cause: error });
  }
}
