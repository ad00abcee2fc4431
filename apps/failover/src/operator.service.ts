import { Injectable } from '@nestjs/common';
import { type HoldReply, Problem, type RestartReply } from '#libs/contracts';
import { crashOnDefect } from '#libs/kernel';
import { type OperatorAnswer, type OperatorWish, planWish } from './domain/operator-plan.js';
import type { RecoveryInput, RecoveryPlan } from './domain/recovery/recovery.types.js';
import { HandoverService } from './election/handover.service.js';
import type { FailoverSettings } from './failover.config.js';
import { LeaderHeadMonitor } from './head/leader-head-monitor.js';
import { NodeWatch } from './nodes/node-watch.js';
import { RecoveryService } from './recovery/recovery.service.js';
import { holdOf } from './recovery/recovery-events.js';

type Planned = Extract<OperatorAnswer, { answer: 'planned' }>;

/** What operators ask of single nodes. Decided in domain/operator-plan; written under the same rules as recovery. */
@Injectable()
export class OperatorService {
  constructor(
    private readonly recovery: RecoveryService,
    private readonly handovers: HandoverService,
    private readonly head: LeaderHeadMonitor,
    private readonly nodes: NodeWatch,
    private readonly settings: FailoverSettings,
  ) {}

  /** A leader hands over first, so that no write fails; when nobody can take over it stays, and is not drained. */
  async drain(nodeId: string, drained: boolean, why: string | undefined): Promise<HoldReply> {
    const wish: OperatorWish = { wish: drained ? 'drain' : 'undrain', nodeId, why };
    if (drained) {
      await this.mustBePossible(wish);
      if (this.head.current?.leaderId === nodeId) await this.handovers.handOver(undefined);
    }
    return this.replyOf(nodeId, await this.carryOut(wish));
  }

  async release(nodeId: string, why: string | undefined): Promise<HoldReply> {
    return this.replyOf(nodeId, await this.carryOut({ wish: 'release', nodeId, why }));
  }

  /** Answers when the restart is under way, not when the node is back. */
  async restart(nodeId: string, why: string | undefined): Promise<RestartReply> {
    const planned = await this.carryOut({ wish: 'restart', nodeId, why });
    const [order] = planned.plan.restarts;
    const seq = planned.plan.steps.at(-1)?.seq;
    if (!order || seq === undefined) throw new Problem('internal', 'a restart was planned without an order');
    const result = await this.recovery.restart(order, seq);
    if (result.outcome !== 'done') {
      throw new Problem('no-available-node', `${nodeId} was not restarted: ${result.detail}`, {
        outcome: result.outcome,
      });
    }
    const { driver } = result;
    return { ...this.replyOf(nodeId, planned), driver, incarnation: order.incarnation };
  }

  private async mustBePossible(wish: OperatorWish): Promise<void> {
    const { standing } = await this.orUnavailable(() => this.recovery.read());
    this.wanted(planWish(wish, standing, this.settings.recovery));
  }

  private async carryOut(wish: OperatorWish): Promise<Planned> {
    if (!this.nodes.directory.get(wish.nodeId)) {
      throw new Problem('node-not-found', `there is no node '${wish.nodeId}'`);
    }
    let planned: Planned | undefined;
    const decide = (standing: RecoveryInput): RecoveryPlan => {
      planned = this.wanted(planWish(wish, standing, this.settings.recovery));
      return planned.plan;
    };
    await this.orUnavailable(() => this.recovery.decide(decide));
    if (!planned) throw new Problem('internal', 'nothing was decided');
    return planned;
  }

  private wanted(answer: OperatorAnswer): Planned {
    if (answer.answer === 'refused') throw new Problem(answer.code, answer.detail);
    return answer;
  }

  private async orUnavailable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Problem) throw error;
      crashOnDefect(error);
      throw new Problem(
        'storage-unavailable',
        'nothing is decided without the database',
        {},
        { cause: error },
      );
    }
  }

  private replyOf(nodeId: string, { hold }: Planned): HoldReply {
    return { nodeId, hold: hold ? holdOf(hold) : null };
  }
}
