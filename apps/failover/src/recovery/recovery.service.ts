import { crashOnDefect, FailureLog, messageOf, type Repeating, systemClock, systemRng } from '#libs/kernel';
import { type BusLogger, EventOutbox } from '#libs/messaging';
import type { FailureDetector } from '../domain/detection/failure-detector.js';
import type {
  ObservedNode,
  RecoveryInput,
  RecoveryPlan,
  RestartOrder,
} from '../domain/recovery/recovery.types.js';
import { planAfterRestart, planRecovery } from '../domain/recovery/recovery-plan.js';
import type { FailoverSettings } from '../failover.config.js';
import { HealthPasses } from '../nodes/health-passes.js';
import { NodeWatch } from '../nodes/node-watch.js';
import { RestrictionsView } from '../nodes/restrictions-view.js';
import { RecoveryMetrics } from './recovery.metrics.js';
import { type RecoverySnapshot, RecoveryStore } from './recovery.store.js';
import { holdOf } from './recovery-events.js';
import { Restarts } from './restarts.js';

/** What this instance knows, and the rows that it was joined with. */
export interface Read {
  state: RecoverySnapshot;
  standing: RecoveryInput;
}

/** Another instance may act between a read and a write, seldom often in a row. */
const TRIES = 5;

export interface RecoveryServiceParts {
  store: RecoveryStore;
  nodes: NodeWatch;
  detector: FailureDetector;
  health: HealthPasses;
  holds: RestrictionsView;
  restarts: Restarts;
  outbox: EventOutbox;
  metrics: RecoveryMetrics;
  settings: FailoverSettings;
  logger: BusLogger;
}

/**
 * The shell around recovery: reads how things stand, has the core plan, writes the plan, tells it, restarts. Without
 * Postgres there is no plan, and so nobody is restarted: then it is only observed.
 */

export class RecoveryService {
  private loop: Repeating | undefined;
  private readonly working = new Set<Promise<void>>();
  private readonly abort = new AbortController();

  constructor(private readonly parts: RecoveryServiceParts) {}

  /** Once the tables are there, and before anybody is elected: who is kept out must be known. */
  async begin(): Promise<void> {
    await this.read();
    const failures = new FailureLog(this.parts.logger, systemClock);
    this.loop = failures.repeat('planning recoveries', () => this.tick(), {
      everyMs: this.parts.settings.recoveryEveryMs,
      firstAfterMs: this.parts.settings.recoveryEveryMs,
    });
  }

  async stop(): Promise<void> {
    this.abort.abort(new Error('failover stops'));
    await this.loop?.stop();
    await Promise.all(this.working);
    await this.parts.restarts.close();
  }

  async read(): Promise<Read> {
    const state = await this.parts.store.read();
    for (const hold of state.holds) this.parts.holds.apply(holdOf(hold));
    this.parts.metrics.read(state);
    const byNode = <R extends { nodeId: string }>(rows: readonly R[]) =>
      new Map(rows.map((row) => [row.nodeId, row]));
    const { nowMs, witnesses } = state;
    const standing = {
      ...{ nowMs, witnesses, nodes: this.seenNodes() },
      ...{
        recoveries: byNode(state.recoveries),
        holds: byNode(state.holds),
        verdicts: byNode(state.verdicts),
      },
    };
    return { state, standing };
  }

  /**
   * Writes the plan that `decide` makes of how things stand, again when somebody else was faster. Whoever's plan it
   * was carries out what it orders.
   */
  async decide(decide: (standing: RecoveryInput) => RecoveryPlan): Promise<RecoveryPlan> {
    for (let tries = 1; ; tries++) {
      const read = await this.read();
      const plan = decide(read.standing);
      if (await this.write(plan, read)) return plan;
      if (tries >= TRIES) throw new Error('other instances were faster each time');
    }
  }

  /** Restarts a node, and writes down what came of it; undefined: the row has moved on. */
  restart(order: RestartOrder, seq: number) {
    return this.parts.restarts.restart(order, this.abort.signal).then(async (result) => {
      const done = result.outcome === 'done';
      const plan = (standing: RecoveryInput) =>
        planAfterRestart(standing, order.nodeId, seq, done, this.parts.settings.recovery, systemRng);
      await this.decide(plan);
      return result;
    });
  }

  private async tick(): Promise<void> {
    const read = await this.read();
    await this.parts.health.ask(this.onTheirWay(read.state));
    const standing = { ...read.standing, nodes: this.seenNodes() };
    const plan = planRecovery(standing, this.parts.settings.recovery, systemRng);
    if (!(await this.write(plan, read))) return;
    for (const order of plan.restarts) {
      const seq = plan.steps.findLast(({ nodeId }) => nodeId === order.nodeId)?.seq ?? 0;
      this.track(this.restart(order, seq));
    }
  }

  /** False: somebody else has acted since it was read. */
  private async write(plan: RecoveryPlan, { state }: Read): Promise<boolean> {
    if (plan.steps.length + plan.notes.length + plan.holds.length === 0) return true;
    const facts = await this.parts.store.carryOut(plan, state);
    if (!facts) return false;
    for (const hold of plan.holds) this.parts.holds.apply(holdOf(hold));
    this.parts.metrics.carriedOut(plan);
    for (const { nodeId, state: to, why, attempt } of plan.steps) {
      this.parts.logger.info({ nodeId, state: to, why, attempt }, 'recovery of a node advanced');
    }
    for (const fact of facts) this.track(this.parts.outbox.announce(fact));
    return true;
  }

  private onTheirWay({ recoveries }: RecoverySnapshot) {
    return recoveries
      .filter(({ state }) => state !== 'healthy')
      .flatMap(({ nodeId }) => this.parts.nodes.directory.get(nodeId) ?? [])
      .filter(({ nodeId }) => this.parts.detector.answers(nodeId));
  }

  private seenNodes(): ObservedNode[] {
    return this.parts.nodes.directory.all().map(({ nodeId, role, incarnation: heard }) => {
      const incarnation = Math.max(heard, this.parts.detector.incarnationOf(nodeId) ?? 0);
      const { passes, level } = this.parts.health.of(nodeId, incarnation);
      return {
        nodeId,
        incarnation,
        voter: role !== 'observer',
        answers: this.parts.detector.answers(nodeId),
        healthPasses: passes,
        level,
        announcedStop: this.parts.nodes.hasAnnouncedStop(nodeId, incarnation),
      };
    });
  }

  private track(task: Promise<unknown>): void {
    const tracked: Promise<void> = task
      .then(() => undefined)
      .catch((error: unknown) => {
        crashOnDefect(error);
        this.parts.logger.warn({ reason: messageOf(error) }, 'recovery step failed: it is tried again');
      })
      .finally(() => this.working.delete(tracked));
    this.working.add(tracked);
  }
}
