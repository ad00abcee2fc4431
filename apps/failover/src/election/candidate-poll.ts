import { Injectable } from '@nestjs/common';
import { PollReply, Problem } from '#libs/contracts';
import { crashOnDefect, type Deferred, deferred, messageOf } from '#libs/kernel';
import { Bus, BusError, type BusLogger } from '#libs/messaging';
import { isBestPossible } from '../domain/election-choice.js';
import type { KnownNode } from '../domain/known-voters.js';
import type { FailoverSettings } from '../failover.config.js';
import type { HttpCalls } from '../nodes/http-calls.js';
import { NodeWatch } from '../nodes/node-watch.js';
import { RestrictionsView } from '../nodes/restrictions-view.js';

export interface PollAbout {
  term: number;
  suspect: string | null;
}

/** After the best possible candidate has answered: how long for its equals, of which the rules prefer one. */
const EQUALS_MS = 10;

/** Asks voters whether they may lead and how far their history goes: over the bus, else over HTTP. */
@Injectable()
export class CandidatePoll {
  constructor(
    private readonly bus: Bus,
    private readonly calls: HttpCalls,
    private readonly nodes: NodeWatch,
    private readonly holds: RestrictionsView,
    private readonly settings: FailoverSettings,
    private readonly logger: BusLogger,
  ) {}

  /**
   * Sends the questions now. Those left out are not asked at all: they could only be waited for. `held` = asks those
   * that are drained or quarantined, and nobody else.
   */
  start(about: PollAbout, leaveOut: (node: KnownNode) => boolean, held = false): RunningPoll {
    const mayLead = this.nodes.directory.voters().filter(({ nodeId }) => this.holds.isHeld(nodeId) === held);
    const asked = mayLead.filter((node) => !leaveOut(node));
    return new RunningPoll(asked.map((node) => this.ask(node, about)));
  }

  async ask(node: KnownNode, about: PollAbout): Promise<PollReply | undefined> {
    const request = { askedBy: this.settings.instanceId, ...about };
    const byBus = await this.askByBus(node, request);
    if (byBus) return byBus;
    const { address } = this.nodes.directory.get(node.nodeId) ?? node;
    if (address === undefined) return undefined;
    try {
      const reply = await this.calls.post(
        `${address}/internal/poll`,
        request,
        PollReply,
        this.settings.pollByHttpMs,
      );
      return reply.nodeId === node.nodeId ? reply : undefined;
    } catch (error) {
      crashOnDefect(error);
      this.logger.debug({ nodeId: node.nodeId, reason: messageOf(error) }, 'a voter did not answer');
      return undefined;
    }
  }

  private async askByBus(
    node: KnownNode,
    request: PollAbout & { askedBy: string },
  ): Promise<PollReply | undefined> {
    if (!this.bus.connected) return undefined;
    try {
      const options = { timeoutMs: this.settings.pollByBusMs, token: node.nodeId };
      return await this.bus.request('election.poll', request, options);
    } catch (error) {
      // A node that refuses to answer may do so only on the bus; if not, it is as good as silent.
      if (!(error instanceof BusError || error instanceof Problem)) throw error;
      this.logger.debug({ nodeId: node.nodeId, reason: error.message }, 'a voter did not answer on the bus');
      return undefined;
    }
  }
}

/** A poll under way: answers come one by one, and how long to wait for more depends on what came. */
export class RunningPoll {
  readonly replies: PollReply[] = [];
  readonly asked: number;
  private waiting: number;
  private news: Deferred<void> = deferred<void>();

  constructor(questions: readonly Promise<PollReply | undefined>[]) {
    this.asked = questions.length;
    this.waiting = questions.length;
    for (const question of questions) {
      question.then(
        (reply) => this.onReply(reply),
        () => this.onReply(undefined),
      );
    }
  }

  /** All answers; or what came until `graceMs` after the first voter that may lead, or sooner when it cannot get better. */
  async settle(
    head: { version: number; chain: string },
    graceMs: number,
    nowMs: () => number,
  ): Promise<PollReply[]> {
    let deadline = Number.POSITIVE_INFINITY;
    while (this.waiting > 0) {
      if (this.replies.some((reply) => reply.eligible)) deadline = Math.min(deadline, nowMs() + graceMs);
      const best = this.replies.some((reply) => reply.eligible && isBestPossible(reply, head));
      if (best) deadline = Math.min(deadline, nowMs() + EQUALS_MS);
      const leftMs = deadline - nowMs();
      if (leftMs <= 0 || !(await this.newsWithin(leftMs))) break;
    }
    return [...this.replies];
  }

  private onReply(reply: PollReply | undefined): void {
    this.waiting--;
    if (reply) this.replies.push(reply);
    const { news } = this;
    this.news = deferred<void>();
    news.resolve();
  }

  private newsWithin(ms: number): Promise<boolean> {
    if (ms === Number.POSITIVE_INFINITY) return this.news.promise.then(() => true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      this.news.promise.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}
