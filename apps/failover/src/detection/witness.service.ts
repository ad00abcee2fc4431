import type { ReplyPayload } from '#libs/contracts';
import {
  type Clock,
  crashOnDefect,
  FailureLog,
  messageOf,
  type Repeating,
  repeat,
  sleep,
  withTimeout,
} from '#libs/kernel';
import { type AskedRequest, Bus, type BusLogger } from '#libs/messaging';
import type { FailureDetector } from '../domain/detection/failure-detector.js';
import {
  decideQuorum,
  isSettled,
  LoneWitness,
  type Quorum,
  type QuorumQuestion,
  type WitnessVote,
} from '../domain/detection/witness-quorum.js';
import type { FailoverSettings } from '../failover.config.js';
import { FailoverStore } from '../failover.store.js';
import { NodeWatch } from '../nodes/node-watch.js';

const OWN_WRITE_TIMEOUT_MS = 1_000;
const SELF_TEST_MS = 1_500;
/** A witness that is asked must answer well within the 50 ms that the asker waits. */
const ANSWER_DIAL_MS = 25;
const ROWS_READ_EVERY_MS = 50;
const ROWS_LOOP_MS = 100;
const RENEWING = 'renewing the row of this witness';

interface SuspectedNode {
  nodeId: string;
  incarnation: number;
  reason: QuorumQuestion['reason'];
}

export interface WitnessServiceParts {
  bus: Bus;
  store: FailoverStore;
  nodes: NodeWatch;
  detector: FailureDetector;
  settings: FailoverSettings;
  clock: Clock;
  logger: BusLogger;
}

/** This instance among its like: it shows that it lives, asks the others before it judges, and answers them. */

export class WitnessService {
  private live: string[] | undefined;
  /** The latest write, under way or done. */
  private renewing: Promise<string[]> | undefined;
  private readonly failures: FailureLog;
  private readonly lone: LoneWitness;
  private readonly loop: Repeating;
  private readonly rowsLoop: Repeating;
  private answeredRowsMs = Number.NEGATIVE_INFINITY;
  private begun = false;

  constructor(private readonly parts: WitnessServiceParts) {
    const { settings, clock, logger } = parts;
    this.failures = new FailureLog(logger, clock);
    this.lone = new LoneWitness(settings.loneVerdictEveryMs);
    this.loop = repeat(() => this.renew(), {
      everyMs: settings.renewEveryMs,
      onError: (error) => this.couldNotWrite(error),
    });
    this.rowsLoop = this.failures.repeat('answering witnesses by rows', () => this.answerRows(), {
      everyMs: ROWS_LOOP_MS,
    });
  }

  /** Its rows can be written: the tables are there. */
  begin(): void {
    this.begun = true;
    this.loop.trigger();
  }

  async stop(): Promise<void> {
    await Promise.all([this.loop.stop(), this.rowsLoop.stop()]);
    if (!this.begun) return;
    await this.parts.store
      .resign(this.parts.settings.instanceId)
      .catch((error: unknown) => this.couldNotWrite(error));
  }

  get others(): readonly string[] | undefined {
    return this.live;
  }

  get canWrite(): boolean {
    return this.live !== undefined;
  }

  async confirm(suspicion: SuspectedNode): Promise<Quorum> {
    const byBus = this.parts.bus.connected ? await this.askByBus(suspicion) : undefined;
    const replies = byBus ?? (await this.askByRows(suspicion));
    const quorum = decideQuorum(this.question(suspicion, replies));
    if (quorum.outcome === 'alone' && suspicion.reason === 'process-down')
      this.lone.judged(this.parts.clock.monotonicMs());
    return quorum;
  }

  async answer(request: AskedRequest<'failover.witness'>): Promise<ReplyPayload<'failover.witness'>> {
    const { instanceId } = this.parts.settings;
    const { nodeId, incarnation, askedBy, reason } = request;
    const view = this.parts.detector.view(nodeId, this.parts.clock.monotonicMs());
    if (askedBy === instanceId) return { instanceId, view };
    if (reason === 'process-down' && (view === 'connected' || view === 'unknown')) {
      // The asker may be a little ahead of us: see for ourselves before we contradict.
      const outcome = await this.parts.nodes.dialNow(nodeId, ANSWER_DIAL_MS);
      const seen = {
        accepted: 'connected',
        refused: 'lost',
        dropped: 'unknown',
        unclear: 'unknown',
      } as const;
      return { instanceId, view: seen[outcome] };
    }
    const agrees =
      reason !== undefined &&
      reason !== 'handover' &&
      this.parts.detector.agrees(nodeId, incarnation, reason, this.parts.clock.monotonicMs());
    return { instanceId, view, agrees };
  }

  /**
   * Whether Postgres takes a write at this moment: only then is a leader that confirms nothing to blame. A write that
   * is under way may be what shows that the database stalls, so its end is waited for too.
   */
  async canWriteNow(): Promise<boolean> {
    try {
      await this.renewing;
      await this.renew();
    } catch (error) {
      this.couldNotWrite(error);
    }
    return this.canWrite;
  }

  /** When most nodes fall silent at once, it may be this process that is cut off. */
  async selfTest(): Promise<boolean> {
    try {
      return await withTimeout(this.runSelfTest(), SELF_TEST_MS, 'the self-test');
    } catch (error) {
      crashOnDefect(error);
      this.parts.logger.warn({ reason: messageOf(error) }, 'self-test failed: this witness gives no verdict');
      return false;
    }
  }

  private async runSelfTest(): Promise<boolean> {
    await this.renew();
    if (!this.parts.bus.connected) return true;
    const { instanceId } = this.parts.settings;
    const request = { askedBy: instanceId, nodeId: 'self-test', incarnation: 0 };
    const echoes = await this.parts.bus.requestMany('failover.witness', request, {
      waitMs: SELF_TEST_MS,
      enough: (replies) => replies.some((reply) => reply.instanceId === instanceId),
    });
    return echoes.some((reply) => reply.instanceId === instanceId);
  }

  private async askByBus(suspicion: SuspectedNode): Promise<WitnessVote[] | undefined> {
    const { instanceId, confirmCrashMs, confirmSilenceMs } = this.parts.settings;
    const others = (replies: readonly ReplyPayload<'failover.witness'>[]): WitnessVote[] =>
      replies
        .filter((reply) => reply.instanceId !== instanceId)
        .map(({ agrees = false, ...reply }) => ({ ...reply, agrees }));
    try {
      const replies = await this.parts.bus.requestMany(
        'failover.witness',
        { askedBy: instanceId, ...suspicion },
        {
          waitMs: suspicion.reason === 'process-down' ? confirmCrashMs : confirmSilenceMs,
          enough: (so) => isSettled(this.question(suspicion, others(so))),
        },
      );
      return others(replies);
    } catch (error) {
      crashOnDefect(error);
      this.parts.logger.debug(
        { reason: messageOf(error) },
        'other witnesses could not be asked over the bus',
      );
      return undefined;
    }
  }

  /** Without the bus the question and its answers are rows. */
  private async askByRows(suspicion: SuspectedNode): Promise<WitnessVote[]> {
    const { instanceId, confirmByRowsMs } = this.parts.settings;
    const beginMs = this.parts.clock.monotonicMs();
    let replies: WitnessVote[] = [];
    try {
      await this.parts.store.saveView(suspicion, { instanceId, view: 'lost', agrees: true }, true);
      while (this.live?.length !== 0 && this.parts.clock.monotonicMs() - beginMs < confirmByRowsMs) {
        replies = await this.parts.store.views(instanceId, suspicion);
        if (isSettled(this.question(suspicion, replies))) break;
        await sleep(ROWS_READ_EVERY_MS);
      }
    } catch (error) {
      this.couldNotWrite(error);
    }
    return replies;
  }

  /** Often while the bus is away, seldom while it is there: then only somebody who is cut off from it asks by rows. */
  private async answerRows(): Promise<void> {
    const { instanceId, rowsEveryMs } = this.parts.settings;
    const nowMs = this.parts.clock.monotonicMs();
    const everyMs = this.parts.bus.connected ? rowsEveryMs.withBus : rowsEveryMs.withoutBus;
    if (!this.begun || nowMs - this.answeredRowsMs < everyMs) return;
    this.answeredRowsMs = nowMs;
    for (const question of await this.parts.store.openQuestions(instanceId)) {
      const { view, agrees = false } = await this.answer(question);
      await this.parts.store.saveView(question, { instanceId, view, agrees }, false);
    }
  }

  private question(suspicion: SuspectedNode, replies: readonly WitnessVote[]): QuorumQuestion {
    const mayJudgeAlone = this.lone.mayJudge(this.parts.clock.monotonicMs());
    return { reason: suspicion.reason, live: this.live, replies, mayJudgeAlone };
  }

  private async renew(): Promise<void> {
    if (!this.begun) return;
    const beginMs = this.parts.clock.monotonicMs();
    const renewing = withTimeout(
      this.parts.store.renew(this.parts.settings.instanceId),
      OWN_WRITE_TIMEOUT_MS,
      'renewing',
    );
    this.renewing = renewing;
    this.live = await renewing;
    this.failures.succeeded(RENEWING);
    const nowMs = this.parts.clock.monotonicMs();
    this.parts.detector.handle({ type: 'own-write', ok: true, tookMs: nowMs - beginMs, nowMs });
  }

  private couldNotWrite(error: unknown): void {
    this.live = undefined;
    this.parts.detector.handle({ type: 'own-write', ok: false, nowMs: this.parts.clock.monotonicMs() });
    this.failures.failed(RENEWING, error);
  }
}
