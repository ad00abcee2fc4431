import { Controller, UseFilters } from '@nestjs/common';
import {
  type EventPayload,
  type LeaderElected,
  type LeaderLost,
  type NodeHeartbeat,
  type NodeHold,
  type NodeVerdict,
} from '#libs/contracts';
import { BusErrorFilter, OnEvent } from '#libs/messaging';
import { VerdictService } from './detection/verdict.service.js';
import { LeaderHeadMonitor } from './head/leader-head-monitor.js';
import { NodeWatch } from './nodes/node-watch.js';
import { RestrictionsView } from './nodes/restrictions-view.js';

/** What every instance hears on the bus. */
@Controller()
@UseFilters(BusErrorFilter)
export class EventsController {
  constructor(
    private readonly nodes: NodeWatch,
    private readonly detector: VerdictService,
    private readonly head: LeaderHeadMonitor,
    private readonly holds: RestrictionsView,
  ) {}

  @OnEvent('node.heartbeat')
  heartbeat(beat: NodeHeartbeat): void {
    this.nodes.heartbeat(beat);
    if (beat.term !== undefined && this.head.isOfCluster(beat.clusterId)) this.head.noteTerm(beat.term);
  }

  @OnEvent('node.registered')
  registered({ node }: EventPayload<'node.registered'>): void {
    this.nodes.registered(node);
  }

  @OnEvent('node.deregistered')
  deregistered({ nodeId, incarnation }: EventPayload<'node.deregistered'>): void {
    this.nodes.deregistered(nodeId, incarnation);
  }

  @OnEvent('node.failed')
  failed(verdict: NodeVerdict): void {
    this.detector.onVerdict(verdict);
  }

  @OnEvent('node.recovered')
  recovered(verdict: NodeVerdict): void {
    this.detector.onVerdict(verdict);
  }

  @OnEvent('leader.lost')
  lost(lost: LeaderLost): void {
    this.detector.leaderLost(lost);
  }

  @OnEvent('leader.elected')
  elected(elected: LeaderElected): void {
    this.head.elected(elected);
  }

  @OnEvent('node.hold')
  held(hold: NodeHold): void {
    this.holds.apply(hold);
  }
}
