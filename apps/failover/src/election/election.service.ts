import type { LeaderElected, PollReply } from '#libs/contracts';
import { type Clock, crashOnDefect, messageOf, sleep } from '#libs/kernel';
import { type BusLogger, EventOutbox } from '#libs/messaging';
import type { FailureDetector } from '../domain/detection/failure-detector.js';
import { chooseLeader } from '../domain/election-choice.js';
import type { FailoverSettings } from '../failover.config.js';
import { FailoverMetrics } from '../failover.metrics.js';
import { type Claim, HeadLocked, HeadStore, type LeaderHead } from '../head/head.store.js';
import { LeaderHeadMonitor } from '../head/leader-head-monitor.js';
import { CandidatePoll, type RunningPoll } from './candidate-poll.js';

/** The leader to be replaced; null = there is none yet. */
export type Suspect = { nodeId: string; incarnation: number } | null;

export type ClaimRequest = Omit<Claim, 'electedBy' | 'highestTerm'>;

export interface Grounds {
  reason: LeaderElected['reason'];
  evidence: Record<string, unknown>;
  /** Monotonic: the first evidence, and the verdict. */
  sinceMs: number;
  judgedMs: number;
}

/** A poll sent on an alarm is used if the verdict follows within this time. */
const PREPARED_FOR_MS = 300;
const SAY_NOBODY_EVERY_MS = 5_000;
/** Others may be about to answer again. */
const LAST_RESORT_AFTER_MS = 1_000;

export interface ElectionServiceParts {
  head: LeaderHeadMonitor;
  store: HeadStore;
  polls: CandidatePoll;
  outbox: EventOutbox;
  detector: FailureDetector;
  metrics: FailoverMetrics;
  settings: FailoverSettings;
  clock: Clock;
  logger: BusLogger;
}

/**
 * Replaces a leader: asks the voters, chooses, claims, announces. Any number of instances may do this at once: the
 * claim is a compare-and-set on what was seen, so that one wins, and the others find the head changed and are done.
 */

export class ElectionService {
  private readonly running = new Map<string, Promise<void>>();
  private readonly telling = new Set<Promise<void>>();
  private prepared: { suspect: string; poll: RunningPoll; atMs: number } | undefined;
  private saidNobodyMs = Number.NEGATIVE_INFINITY;
  private readonly abort = new AbortController();

  constructor(private readonly parts: ElectionServiceParts) {}

  /** On an alarm about the leader: the questions are sent while it is found out whether it is really gone. */
  prepare(suspect: NonNullable<Suspect>): void {
    const poll = this.parts.polls.start(this.about(suspect), (node) => node.nodeId === suspect.nodeId);
    this.prepared = { suspect: keyOf(suspect), poll, atMs: this.parts.clock.monotonicMs() };
  }

  /** Runs until the head names another leader than `suspect`, or the suspicion has been withdrawn. */
  replace(suspect: Suspect, grounds: Grounds): Promise<void> {
    const key = keyOf(suspect);
    const running =
      this.running.get(key) ?? this.run(suspect, grounds).finally(() => this.running.delete(key));
    this.running.set(key, running);
    return running;
  }

  /**
   * Claims the head for `winner` and tells the world. Undefined: the head says something else by now. Whoever holds the
   * head row is waited for, or, with `endHolders`, ended.
   */
  async claim(request: ClaimRequest, options = { endHolders: false }): Promise<LeaderElected | undefined> {
    const { instanceId: electedBy } = this.parts.settings;
    const claim = { ...request, electedBy, highestTerm: this.parts.head.highestTerm };
    const elected = await this.parts.store.claim(claim).catch((error: unknown) => {
      if (error instanceof HeadLocked && options.endHolders) return this.claimFromHolders(claim);
      throw error;
    });
    if (!elected) return undefined;
    this.announce(elected);
    this.parts.head.elected(elected);
    this.parts.metrics.elected(elected);
    this.parts.logger.info({ ...elected }, 'leader elected');
    return elected;
  }

  async stop(): Promise<void> {
    this.abort.abort(new Error('failover stops'));
    await Promise.all([...this.running.values(), ...this.telling]);
  }

  /** Sent at once; that it was stored is waited for in the background, and made sure of by the outbox. */
  private announce(elected: LeaderElected): void {
    const id = `leader.elected/${elected.term}`;
    const telling: Promise<void> = this.parts.outbox
      .announce({ id, subject: 'leader.elected', payload: elected })
      .catch((error: unknown) => this.logFailure('announcing the leader', error))
      .finally(() => this.telling.delete(telling));
    this.telling.add(telling);
  }

  private async run(suspect: Suspect, grounds: Grounds): Promise<void> {
    for (let attempt = 0; !this.abort.signal.aborted; attempt++) {
      if (attempt > 0 && grounds.reason !== 'handover' && this.isWithdrawn(suspect)) return;
      try {
        if ((await this.attempt(suspect, grounds)) === 'done') return;
      } catch (error) {
        this.logFailure('an election', error);
        if (error instanceof HeadLocked) continue;
      }
      await this.pause(this.parts.settings.retryElectionMs);
    }
  }

  private async attempt(suspect: Suspect, grounds: Grounds): Promise<'done' | 'again'> {
    const poll =
      this.takePrepared(suspect) ??
      this.parts.polls.start(this.about(suspect), (node) => this.isOut(node.nodeId));
    const head = await this.parts.head.read();
    if (!stillLeads(head, suspect)) return 'done';
    const graceMs = suspect === null ? this.parts.settings.firstPollGraceMs : this.parts.settings.pollGraceMs;
    const replies = await poll.settle(head, graceMs, () => this.parts.clock.monotonicMs());
    if (
      this.parts.clock.monotonicMs() - grounds.judgedMs >= LAST_RESORT_AFTER_MS &&
      !replies.some(isEligible)
    ) {
      replies.push(...(await this.askHeld(suspect, head)));
    }
    for (const reply of replies) this.parts.head.noteTerm(reply.term);
    const winner = chooseLeader({ head, replies, excluded: (reply) => this.isExcluded(reply, suspect) });
    if (!winner) {
      this.parts.metrics.withoutCandidate.inc();
      this.sayNobody(replies);
      return 'again';
    }
    const claim = {
      seenTerm: head.term,
      suspect: head.leaderId,
      winner,
      reason: grounds.reason,
      evidence: grounds.evidence,
      detectMs: Math.max(0, round(grounds.judgedMs - grounds.sinceMs)),
      electMs: Math.max(0, round(this.parts.clock.monotonicMs() - grounds.judgedMs)),
    };
    const elected = await this.claim(claim, { endHolders: true });
    return elected ? 'done' : 'again';
  }

  private async claimFromHolders(claim: Claim): Promise<LeaderElected | undefined> {
    const { elected, ended } = await this.parts.store.claimFromHolders(claim);
    this.parts.logger.warn({ ended }, 'ended database sessions that kept config.head locked');
    return elected;
  }

  /** A node that is drained or quarantined is better than no leader. */
  private askHeld(suspect: Suspect, head: LeaderHead): Promise<PollReply[]> {
    const poll = this.parts.polls.start(this.about(suspect), (node) => this.isOut(node.nodeId), true);
    return poll.settle(head, this.parts.settings.pollGraceMs, () => this.parts.clock.monotonicMs());
  }

  /** Attempts follow each other quickly; what there is to say stays the same. */
  private sayNobody(replies: readonly PollReply[]): void {
    const nowMs = this.parts.clock.monotonicMs();
    if (nowMs - this.saidNobodyMs < SAY_NOBODY_EVERY_MS) return;
    this.saidNobodyMs = nowMs;
    const answers = replies.map(({ nodeId, reason }) => ({ nodeId, reason }));
    this.parts.logger.warn({ answers }, 'election found no candidate: the cluster stays without a leader');
  }

  private takePrepared(suspect: Suspect): RunningPoll | undefined {
    const { prepared } = this;
    this.prepared = undefined;
    if (prepared?.suspect !== keyOf(suspect)) return undefined;
    return this.parts.clock.monotonicMs() - prepared.atMs <= PREPARED_FOR_MS ? prepared.poll : undefined;
  }

  private isExcluded(reply: PollReply, suspect: Suspect): boolean {
    if (reply.nodeId === suspect?.nodeId && reply.incarnation <= suspect.incarnation) return true;
    return (
      reply.incarnation <= (this.parts.detector.incarnationOf(reply.nodeId) ?? 0) && this.isOut(reply.nodeId)
    );
  }

  /** Not worth waiting for, although it may not have been judged yet. */
  looksOut(nodeId: string): boolean {
    return this.isOut(nodeId) || this.parts.detector.view(nodeId, this.parts.clock.monotonicMs()) === 'lost';
  }

  private isOut(nodeId: string): boolean {
    const verdict = this.parts.detector.verdictOn(nodeId);
    return verdict !== undefined && (verdict.verdict === 'failed' || verdict.reason === 'cannot-lead');
  }

  /** A leader that came back as itself before anybody was elected goes on leading. */
  private isWithdrawn(suspect: Suspect): boolean {
    if (suspect === null || this.parts.detector.incarnationOf(suspect.nodeId) !== suspect.incarnation)
      return false;
    return this.parts.detector.verdictOn(suspect.nodeId) === undefined;
  }

  private about(suspect: Suspect) {
    return { term: this.parts.head.current?.term ?? 0, suspect: suspect?.nodeId ?? null };
  }

  private async pause(ms: number): Promise<void> {
    try {
      await sleep(ms, this.abort.signal);
    } catch (error) {
      if (!this.abort.signal.aborted) throw error;
    }
  }

  private logFailure(what: string, error: unknown): void {
    crashOnDefect(error);
    this.parts.logger.warn({ what, reason: messageOf(error) }, 'did not succeed');
  }
}

function isEligible({ eligible }: PollReply): boolean {
  return eligible;
}

function stillLeads(head: LeaderHead, suspect: Suspect): boolean {
  if (suspect === null) return head.leaderId === null;
  return head.leaderId === suspect.nodeId && head.incarnation === suspect.incarnation;
}

function keyOf(suspect: Suspect): string {
  return suspect === null ? 'first' : `${suspect.nodeId}/${suspect.incarnation}`;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
