import { Injectable } from '@nestjs/common';
import type { QuestionReply } from '#libs/contracts';
import { type Clock, type Repeating, repeat, sleep, withTimeout } from '#libs/kernel';
import { type AskedRequest, Bus, type BusLogger } from '#libs/messaging';
import type { FailureDetector } from './domain/failure-detector.js';
import {
  decideQuorum,
  isSettled,
  LoneWitness,
  type Quorum,
  type QuorumQuestion,
  type Testimony,
} from './domain/witness-quorum.js';
import type { FailoverSettings } from './failover.config.js';
import { FailoverStore } from './failover.store.js';
import { NodeWatch } from './node-watch.js';

const OWN_WRITE_TIMEOUT_MS = 1_000;
const SELF_TEST_MS = 1_500;
/** A witness that is asked must answer well within the 50 ms that the asker waits. */
const ANSWER_DIAL_MS = 25;
const EXCHANGE_EVERY_MS = 50;
const EXCHANGES = 6;

interface Suspicion {
  nodeId: string;
  incarnation: number;
  reason: QuorumQuestion['reason'];
}

/** This instance among its like: it shows that it lives, asks the others before it judges, and answers them. */
@Injectable()
export class WitnessService {
  private live: string[] | undefined;
  private readonly lone: LoneWitness;
  private readonly loop: Repeating;
  private begun = false;

  constructor(
    private readonly bus: Bus,
    private readonly store: FailoverStore,
    private readonly nodes: NodeWatch,
    private readonly detector: FailureDetector,
    private readonly settings: FailoverSettings,
    private readonly clock: Clock,
    private readonly logger: BusLogger,
  ) {
    this.lone = new LoneWitness(settings.loneVerdictEveryMs);
    this.loop = repeat(() => this.renew(), {
      everyMs: settings.renewEveryMs,
      onError: (error) => this.couldNotWrite(error),
    });
  }

  /** Its rows can be written: the tables are there. */
  begin(): void {
    this.begun = true;
    this.loop.poke();
  }

  async stop(): Promise<void> {
    await this.loop.stop();
    if (!this.begun) return;
    await this.store.resign(this.settings.instanceId).catch((error: unknown) => this.couldNotWrite(error));
  }

  get others(): readonly string[] | undefined {
    return this.live;
  }

  get canWrite(): boolean {
    return this.live !== undefined;
  }

  async confirm(suspicion: Suspicion): Promise<Quorum> {
    const byBus = this.bus.connected ? await this.askByBus(suspicion) : undefined;
    const replies = byBus ?? (await this.askByRows(suspicion));
    const quorum = decideQuorum(this.question(suspicion, replies));
    if (quorum.outcome === 'alone' && suspicion.reason === 'process-down')
      this.lone.judged(this.clock.monotonicMs());
    return quorum;
  }

  async answer(request: AskedRequest<'failover.witness'>): Promise<QuestionReply<'failover.witness'>> {
    const { instanceId } = this.settings;
    const { nodeId, incarnation, askedBy, reason } = request;
    const view = this.detector.view(nodeId, this.clock.monotonicMs());
    if (askedBy === instanceId) return { instanceId, view };
    if (reason === 'process-down' && (view === 'connected' || view === 'unknown')) {
      // The asker may be a little ahead of us: see for ourselves before we contradict.
      const outcome = await this.nodes.dialNow(nodeId, ANSWER_DIAL_MS);
      const seen = { accepted: 'connected', refused: 'lost', unclear: 'unknown' } as const;
      return { instanceId, view: seen[outcome] };
    }
    const agrees =
      reason !== undefined &&
      reason !== 'handover' &&
      this.detector.agrees(nodeId, incarnation, reason, this.clock.monotonicMs());
    return { instanceId, view, agrees };
  }

  /** When most nodes fall silent at once, it may be this process that is cut off. */
  async selfTest(): Promise<boolean> {
    try {
      return await withTimeout(this.runSelfTest(), SELF_TEST_MS, 'the self-test');
    } catch (error) {
      this.logger.warn({ reason: reasonOf(error) }, 'the self-test failed: no verdict');
      return false;
    }
  }

  private async runSelfTest(): Promise<boolean> {
    await this.renew();
    if (!this.bus.connected) return true;
    const { instanceId } = this.settings;
    const request = { askedBy: instanceId, nodeId: 'self-test', incarnation: 0 };
    const echoes = await this.bus.requestMany('failover.witness', request, {
      waitMs: SELF_TEST_MS,
      enough: (replies) => replies.some((reply) => reply.instanceId === instanceId),
    });
    return echoes.some((reply) => reply.instanceId === instanceId);
  }

  private async askByBus(suspicion: Suspicion): Promise<Testimony[] | undefined> {
    const { instanceId, confirmCrashMs, confirmSilenceMs } = this.settings;
    const others = (replies: readonly QuestionReply<'failover.witness'>[]): Testimony[] =>
      replies
        .filter((reply) => reply.instanceId !== instanceId)
        .map(({ agrees = false, ...reply }) => ({ ...reply, agrees }));
    try {
      const replies = await this.bus.requestMany(
        'failover.witness',
        { askedBy: instanceId, ...suspicion },
        {
          waitMs: suspicion.reason === 'process-down' ? confirmCrashMs : confirmSilenceMs,
          enough: (so) => isSettled(this.question(suspicion, others(so))),
        },
      );
      return others(replies);
    } catch (error) {
      this.logger.debug({ reason: reasonOf(error) }, 'other witnesses could not be asked over the bus');
      return undefined;
    }
  }

  /** Without the bus each witness writes down what it suspects, and reads who suspects the same. */
  private async askByRows(suspicion: Suspicion): Promise<Testimony[]> {
    const { instanceId } = this.settings;
    const view = { instanceId, ...suspicion };
    let agreeing: string[] = [];
    try {
      for (let i = 0; i < EXCHANGES; i++) {
        agreeing = await this.store.exchangeViews(view);
        if (agreeing.length > 0 || this.live?.length === 0) break;
        await sleep(EXCHANGE_EVERY_MS);
      }
    } catch (error) {
      this.couldNotWrite(error);
    }
    const agreed = agreeing.map((id): Testimony => ({ instanceId: id, view: 'lost', agrees: true }));
    const silent = (this.live ?? [])
      .filter((id) => !agreeing.includes(id))
      .map((id): Testimony => ({ instanceId: id, view: 'unknown', agrees: false }));
    return [...agreed, ...silent];
  }

  private question(suspicion: Suspicion, replies: readonly Testimony[]): QuorumQuestion {
    const mayJudgeAlone = this.lone.mayJudge(this.clock.monotonicMs());
    return { reason: suspicion.reason, live: this.live, replies, mayJudgeAlone };
  }

  private async renew(): Promise<void> {
    if (!this.begun) return;
    this.live = await withTimeout(
      this.store.renew(this.settings.instanceId),
      OWN_WRITE_TIMEOUT_MS,
      'renewing',
    );
    this.detector.step({ type: 'own-write', ok: true, nowMs: this.clock.monotonicMs() });
  }

  private couldNotWrite(error: unknown): void {
    this.live = undefined;
    this.detector.step({ type: 'own-write', ok: false, nowMs: this.clock.monotonicMs() });
    this.logger.debug({ reason: reasonOf(error) }, 'this witness cannot write to Postgres');
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
