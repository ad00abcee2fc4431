import type { LeaderLost, NodeVerdict } from '#libs/contracts';
import { type Clock, crashOnDefect, messageOf, type Repeating, repeat } from '#libs/kernel';
import { Bus, type BusLogger, DurableEvents, EventOutbox } from '#libs/messaging';
import type { DetectorInput, DetectorOutput, GivenVerdict } from '../domain/detection/detector.types.js';
import type { FailureDetector } from '../domain/detection/failure-detector.js';
import { ElectionService, type Grounds } from '../election/election.service.js';
import type { FailoverSettings } from '../failover.config.js';
import { FailoverMetrics } from '../failover.metrics.js';
import { FailoverStore } from '../failover.store.js';
import { LeaderHeadMonitor } from '../head/leader-head-monitor.js';
import { NodeWatch } from '../nodes/node-watch.js';
import { WitnessService } from './witness.service.js';

type SuspectOutput = Extract<DetectorOutput, { type: 'suspect' }>;

/** As heard on the bus, or read from its row. */
type HeardVerdict = GivenVerdict & Partial<Pick<NodeVerdict, 'judgedBy' | 'evidence'>>;

/** Reasons for which a leader is replaced; of another node they are only news. */
const DEPOSING: readonly string[] = ['process-down', 'unresponsive', 'cannot-lead'];

export interface VerdictServiceParts {
  detector: FailureDetector;
  witnesses: WitnessService;
  elections: ElectionService;
  head: LeaderHeadMonitor;
  nodes: NodeWatch;
  store: FailoverStore;
  stream: DurableEvents;
  outbox: EventOutbox;
  bus: Bus;
  metrics: FailoverMetrics;
  settings: FailoverSettings;
  clock: Clock;
  logger: BusLogger;
}

/** The shell around the detector: seeks confirmation for its suspicions, announces verdicts, starts elections. */

export class VerdictService {
  private readonly tasks = new Set<Promise<void>>();
  private loop: Repeating | undefined;

  constructor(private readonly parts: VerdictServiceParts) {}

  start(): void {
    const nowMs = () => this.parts.clock.monotonicMs();
    const tick = () => {
      this.submit({ type: 'bus', connected: this.parts.bus.responsive, nowMs: nowMs() });
      this.submit({ type: 'tick', nowMs: nowMs() });
    };
    this.loop = repeat(tick, {
      everyMs: this.parts.settings.detector.tickEveryMs,
      onError: (error) => this.logFailure('a tick', error),
    });
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
    await Promise.all(this.tasks);
  }

  submit(input: DetectorInput): void {
    for (const output of this.parts.detector.handle(input)) this.carryOut(output);
  }

  /** A verdict that another witness gave. */
  onVerdict(verdict: HeardVerdict): void {
    const nowMs = this.parts.clock.monotonicMs();
    this.submit({ type: 'verdict', verdict, nowMs });
    const { reason, judgedBy, evidence = {} } = verdict;
    if (reason === null || !DEPOSING.includes(reason) || !this.leads(verdict)) return;
    // Whoever judged elects too; two are faster than one that dies on the way.
    const detectMs = typeof evidence.detectMs === 'number' ? evidence.detectMs : 0;
    const grounds = { ...evidence, ...(judgedBy === undefined ? {} : { judgedBy }) };
    this.depose(verdict, { reason, evidence: grounds, sinceMs: nowMs - detectMs, judgedMs: nowMs });
  }

  /** A leader that stops says so, and need not be found out. Other reasons it mends itself, or its fence grows old. */
  leaderLost({ nodeId, term, reason }: LeaderLost): void {
    const { current } = this.parts.head;
    if (reason !== 'stopping' || current?.leaderId !== nodeId || current.term !== term) return;
    const nowMs = this.parts.clock.monotonicMs();
    const { incarnation } = current;
    this.depose(
      { nodeId, incarnation },
      { reason: 'handover', evidence: { stopping: true }, sinceMs: nowMs, judgedMs: nowMs },
    );
  }

  private carryOut(output: DetectorOutput): void {
    switch (output.type) {
      case 'alarm':
        if (this.leads(output)) this.parts.elections.prepare(output);
        return;
      case 'suspect':
        this.track(this.judge(output));
        return;
      case 'leader-restarted':
        this.leaderRestarted(output);
        return;
      case 'clear':
        this.track(this.clear(output));
        return;
    }
  }

  private async judge(suspicion: SuspectOutput): Promise<void> {
    const { nodeId, incarnation, reason, massSilence } = suspicion;
    if (massSilence && !(await this.parts.witnesses.selfTest()))
      return this.notConfirmed(suspicion, 'self-test-failed');
    const quorum = await this.parts.witnesses.confirm({ nodeId, incarnation, reason });
    if (quorum.outcome !== 'confirmed' && quorum.outcome !== 'alone') {
      return this.notConfirmed(suspicion, quorum.outcome);
    }
    if (reason === 'cannot-lead' && !(await this.isToBlame(suspicion))) {
      return this.notConfirmed(suspicion, 'storage-stalled');
    }
    if (this.parts.detector.incarnationOf(nodeId) !== incarnation) return;
    const judgedMs = this.parts.clock.monotonicMs();
    const failed = reason === 'process-down' || reason === 'unresponsive';
    const verdict: NodeVerdict = {
      nodeId,
      incarnation,
      verdict: failed ? 'failed' : 'degraded',
      reason,
      judgedBy: this.parts.settings.instanceId,
      confirmedBy: quorum.by,
      evidence: {
        ...suspicion.evidence,
        detectMs: Math.round(judgedMs - suspicion.sinceMs),
        ...(this.parts.nodes.hasAnnouncedStop(nodeId, incarnation) ? { announcedStop: true } : {}),
      },
      at: this.now(),
    };
    this.submit({ type: 'verdict', verdict, nowMs: judgedMs });
    this.parts.metrics.suspicions.inc({ reason, outcome: quorum.outcome });
    this.parts.logger.warn({ ...verdict }, 'node declared failed or degraded');
    if (DEPOSING.includes(reason) && this.leads(verdict)) {
      this.depose(verdict, { reason, evidence: verdict.evidence, sinceMs: suspicion.sinceMs, judgedMs });
    }
    if (incarnation > 0) await this.announce(verdict);
  }

  /** A leader cannot confirm its fence while the database stalls, and nobody else could. */
  private async isToBlame({ nodeId, incarnation, reason }: SuspectOutput): Promise<boolean> {
    if (!(await this.parts.witnesses.canWriteNow())) return false;
    return this.parts.detector.agrees(nodeId, incarnation, reason, this.parts.clock.monotonicMs());
  }

  private notConfirmed({ nodeId, reason }: SuspectOutput, outcome: string): void {
    this.parts.metrics.suspicions.inc({ reason, outcome });
    this.parts.logger.info({ nodeId, reason, outcome }, 'witnesses did not confirm a suspicion: no verdict');
    const alone = outcome === 'alone-too-often';
    this.submit({ type: 'not-confirmed', nodeId, reason, alone, nowMs: this.parts.clock.monotonicMs() });
  }

  /** It proves itself that the old incarnation is gone: nobody needs to be asked. */
  private leaderRestarted(restart: Extract<DetectorOutput, { type: 'leader-restarted' }>): void {
    const { nodeId, incarnation, newIncarnation } = restart;
    const nowMs = this.parts.clock.monotonicMs();
    this.parts.logger.warn(
      { nodeId, incarnation, newIncarnation },
      'leader restarted: a new term is needed, since it never resumes its own',
    );
    const evidence = { newIncarnation };
    this.depose(
      { nodeId, incarnation },
      { reason: 'process-down', evidence, sinceMs: nowMs, judgedMs: nowMs },
    );
  }

  private async clear({ nodeId, incarnation }: { nodeId: string; incarnation: number }): Promise<void> {
    this.parts.logger.info({ nodeId, incarnation }, 'withdrew the verdict on a node');
    await this.announce({
      nodeId,
      incarnation,
      verdict: 'clear',
      reason: null,
      judgedBy: this.parts.settings.instanceId,
      confirmedBy: [],
      evidence: {},
      at: this.now(),
    });
  }

  private depose(suspect: { nodeId: string; incarnation: number }, grounds: Grounds): void {
    const { nodeId, incarnation } = suspect;
    this.track(this.parts.elections.replace({ nodeId, incarnation }, grounds));
  }

  /** Row first, then message; without the database the message alone. */
  private async announce(verdict: NodeVerdict): Promise<void> {
    this.parts.metrics.verdicts.inc({ verdict: verdict.verdict, reason: verdict.reason ?? 'none' });
    try {
      const fact = await this.parts.store.saveVerdict(verdict);
      if (fact) await this.parts.outbox.announce(fact);
    } catch (error) {
      this.logFailure('recording a verdict', error);
      const subject = verdict.verdict === 'clear' ? 'node.recovered' : 'node.failed';
      const id = `${subject}/${verdict.nodeId}/${verdict.incarnation}/${verdict.judgedBy}/${verdict.at}`;
      await this.parts.stream.announce(subject, verdict, id);
    }
  }

  private leads({ nodeId, incarnation }: { nodeId: string; incarnation: number }): boolean {
    const { current } = this.parts.head;
    return current?.leaderId === nodeId && current.incarnation === incarnation;
  }

  private track(task: Promise<void>): void {
    const tracked: Promise<void> = task
      .catch((error: unknown) => this.logFailure('a verdict', error))
      .finally(() => this.tasks.delete(tracked));
    this.tasks.add(tracked);
  }

  private now(): string {
    return new Date(this.parts.clock.wallMs()).toISOString();
  }

  private logFailure(what: string, error: unknown): void {
    crashOnDefect(error);
    this.parts.logger.warn({ what, reason: messageOf(error) }, 'did not succeed');
  }
}
