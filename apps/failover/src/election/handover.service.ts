import {
  type HandoverReply,
  type LeaderElected,
  NodePing,
  PauseReply,
  type PollReply,
  Problem,
} from '#libs/contracts';
import { type Clock, crashOnDefect, sleep } from '#libs/kernel';
import type { BusLogger } from '#libs/messaging';
import { levelWithinMs, mayClaim, prepare } from '../domain/handover-plan.js';
import type { KnownNode } from '../domain/known-voters.js';
import { HeadLocked, type LeaderHead } from '../head/head.store.js';
import { LeaderHeadMonitor } from '../head/leader-head-monitor.js';
import type { HttpCalls } from '../nodes/http-calls.js';
import { NodeWatch } from '../nodes/node-watch.js';
import { RestrictionsView } from '../nodes/restrictions-view.js';
import { CandidatePoll } from './candidate-poll.js';
import { ElectionService } from './election.service.js';

const PREPARE_FOR_MS = 2_000;
const ASK_EVERY_MS = 50;
/** The leader's pause ends by itself after this long. */
const PAUSE_MS = 2_000;
/** Kept of the pause for the claim: it waits 100 ms for a lock, and commits. */
const CLAIM_TAKES_MS = 500;
const CALL_TIMEOUT_MS = 500;
const PAUSE_CALL_TIMEOUT_MS = 1_500;
const POLL_GRACE_MS = 100;

export interface HandoverServiceParts {
  head: LeaderHeadMonitor;
  nodes: NodeWatch;
  holds: RestrictionsView;
  polls: CandidatePoll;
  elections: ElectionService;
  calls: HttpCalls;
  clock: Clock;
  logger: BusLogger;
}

/** Moves leadership on purpose, without failing a write: the steps are decided in domain/handover-plan. */

export class HandoverService {
  private underWay: Promise<HandoverReply> | undefined;

  constructor(private readonly parts: HandoverServiceParts) {}

  /** One at a time; a second request is told to come back. */
  async handOver(to: string | undefined): Promise<HandoverReply> {
    if (this.underWay) throw new Problem('cluster-busy', 'a handover is under way');
    this.underWay = this.run(to).finally(() => {
      this.underWay = undefined;
    });
    return this.underWay;
  }

  private async run(to: string | undefined): Promise<HandoverReply> {
    const head = await this.readHead();
    const { leaderId } = head;
    const leader = leaderId === null ? undefined : this.parts.nodes.directory.get(leaderId);
    if (leaderId === null || leader?.address === undefined)
      throw new Problem('no-leader', 'there is no leader to relieve');
    if (to !== undefined && !this.parts.nodes.directory.get(to))
      throw new Problem('node-not-found', `no node ${to}`);
    const kept = to === undefined ? undefined : this.parts.holds.reason(to);
    if (kept !== undefined) throw new Problem('precondition-failed', `${to} is ${kept}`);

    const target = await this.findTarget(head, leaderId, leader.address, to);
    if (!target) return { term: head.term, leaderId, durationMs: 0 };

    const beginMs = this.parts.clock.monotonicMs();
    const paused = await this.pause(leader.address, head.term);
    const level = await this.waitUntilLevel(head, paused, target.nodeId, beginMs);
    const elected = await this.claim({
      seenTerm: head.term,
      suspect: leaderId,
      winner: level,
      reason: 'handover',
      evidence: { from: leaderId, pausedAt: paused.version },
      detectMs: 0,
      electMs: this.sinceMs(beginMs),
    });
    if (!elected) throw new Problem('no-leader', 'another leader was elected meanwhile');
    return { term: elected.term, leaderId: elected.leaderId, durationMs: this.sinceMs(beginMs) };
  }

  private async claim(claim: Parameters<ElectionService['claim']>[0]): Promise<LeaderElected | undefined> {
    try {
      return await this.parts.elections.claim(claim);
    } catch (error) {
      if (error instanceof HeadLocked) {
        throw new Problem(
          'cluster-busy',
          'the old leader has not finished its last write',
          {},
          { cause: error },
        );
      }
      crashOnDefect(error);
      throw new Problem('storage-unavailable', 'the claim was not confirmed', {}, { cause: error });
    }
  }

  private async findTarget(
    head: LeaderHead,
    leaderId: string,
    address: string,
    wanted: string | undefined,
  ): Promise<PollReply | undefined> {
    const beginMs = this.parts.clock.monotonicMs();
    for (;;) {
      const leaderVersion = await this.versionOf(address);
      const { replies, asked } = await this.askVoters(head, leaderId, wanted);
      const step = prepare({
        leaderId,
        leaderVersion,
        wanted,
        replies,
        asked,
        elapsedMs: this.sinceMs(beginMs),
        patienceMs: PREPARE_FOR_MS,
      });
      if (step.step === 'pause') return step.target;
      if (step.step === 'already-leads') return undefined;
      if (step.step === 'refuse') throw new Problem(step.code, step.detail);
      await sleep(ASK_EVERY_MS);
    }
  }

  private async askVoters(
    head: LeaderHead,
    leaderId: string,
    wanted: string | undefined,
  ): Promise<{ replies: PollReply[]; asked: number }> {
    const about = { term: head.term, suspect: null };
    if (wanted !== undefined) {
      // Asked even when it is an observer: it says so itself.
      const node = this.parts.nodes.directory.get(wanted);
      const reply = node && (await this.parts.polls.ask(node, about));
      return { replies: reply ? [reply] : [], asked: 1 };
    }
    const leaveOut = ({ nodeId }: KnownNode) => nodeId === leaderId || this.parts.elections.looksOut(nodeId);
    const poll = this.parts.polls.start(about, leaveOut);
    const replies = await poll.settle(head, POLL_GRACE_MS, () => this.parts.clock.monotonicMs());
    return { replies, asked: poll.asked };
  }

  private async versionOf(address: string): Promise<number> {
    try {
      return (await this.parts.calls.get(`${address}/ping`, NodePing, CALL_TIMEOUT_MS)).version;
    } catch (error) {
      crashOnDefect(error);
      throw new Problem('no-leader', 'the leader does not answer', {}, { cause: error });
    }
  }

  private async pause(address: string, term: number) {
    const request = { term, pauseMs: PAUSE_MS };
    try {
      return await this.parts.calls.post(
        `${address}/internal/handover`,
        request,
        PauseReply,
        PAUSE_CALL_TIMEOUT_MS,
      );
    } catch (error) {
      if (error instanceof Problem) throw error;
      crashOnDefect(error);
      throw new Problem('no-leader', 'the leader does not answer', {}, { cause: error });
    }
  }

  private async waitUntilLevel(
    head: LeaderHead,
    paused: { term: number; version: number; chain: string },
    targetId: string,
    askedAtMs: number,
  ): Promise<PollReply> {
    const node = this.parts.nodes.directory.get(targetId);
    const leftMs = () =>
      levelWithinMs({
        askedAgoMs: this.sinceMs(askedAtMs),
        lastsMs: PAUSE_MS,
        claimTakesMs: CLAIM_TAKES_MS,
      });
    while (node && leftMs() > 0) {
      const asking = this.parts.polls.ask(node, { term: head.term, suspect: null });
      const reply = await Promise.race([asking, sleep(leftMs())]);
      if (reply && mayClaim(paused, reply) && leftMs() > 0) return reply;
      await sleep(2);
    }
    // The old leader goes on by itself when its pause ends.
    this.parts.logger.warn(
      { targetId, version: paused.version },
      'handover cancelled: the target did not catch up in time',
    );
    throw new Problem('no-available-node', `${targetId} did not reach version ${paused.version} in time`);
  }

  private async readHead(): Promise<LeaderHead> {
    try {
      return await this.parts.head.read();
    } catch (error) {
      crashOnDefect(error);
      throw new Problem('storage-unavailable', 'the database cannot be reached', {}, { cause: error });
    }
  }

  private sinceMs(beginMs: number): number {
    return Math.round((this.parts.clock.monotonicMs() - beginMs) * 10) / 10;
  }
}
