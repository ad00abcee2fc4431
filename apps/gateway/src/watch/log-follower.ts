import type { RequestSigner } from '#libs/cluster-auth';
import { type Change, Problem } from '#libs/contracts';
import {
  type Clock,
  crashOnDefect,
  deferred,
  fullJitterMs,
  type Repeating,
  repeat,
  sleep,
  systemRng,
} from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { ChangeSource, LogPage, LogQuery, PresentPage, PresentQuery, SourceReset } from '#libs/watch';
import { FollowedLog } from '../domain/log/followed-log.js';
import type { FollowedNodeChoice } from '../domain/log/followed-node-choice.js';
import { UnreadableLog } from '../domain/log/unreadable-log.js';
import type { Candidate } from '../domain/nodes/candidate.js';
import type { LoadBalancer } from '../domain/nodes/load-balancer.js';
import type { NodeDirectory } from '../nodes/node-directory.js';
import type { NodeProber } from '../nodes/node-prober.js';
import type { Upstreams } from '../nodes/upstreams.js';
import { FollowStream, type StreamEnd } from './follow-stream.js';
import type { FollowMessage } from './log-decoder.js';
import type { NodeLog } from './node-log.js';

const SILENT_AFTER_MS = 1_500;
const TURN_MS = 100;
/** How long the log is followed on when nobody watches any more. */
const LINGER_MS = 30_000;
/** A node that stays behind what others have is left for another after this time. */
const BEHIND_FOR_MS = 3_000;
/** How often it is asked where the history ends, while the followed node stands below what was told here. */
const DOUBT_EVERY_MS = 2_000;
const READY_WITHIN_MS = 5_000;
const RETRY = { baseMs: 20, capMs: 1_000 };

export interface LogFollowerOptions {
  directory: NodeDirectory;
  prober: NodeProber;
  upstreams: Upstreams;
  balancer: LoadBalancer;
  choice: FollowedNodeChoice;
  nodeLog: NodeLog;
  signer: RequestSigner;
  clock: Clock;
  logger: Logger;
}

/**
 * One upstream for all watchers of this gateway: follows the log of some node while anybody watches, and goes on at
 * another node, from the last version, when that one falls silent.
 */
export class LogFollower implements ChangeSource {
  private readonly log = new FollowedLog();
  private readonly unreadable = new UnreadableLog();
  private readonly changeListeners = new Set<(changes: readonly Change[]) => void>();
  private readonly resetListeners = new Set<(reset: SourceReset) => void>();
  private readonly waiters = new Set<() => void>();
  private stream: FollowStream | undefined;
  private node: Candidate | undefined;
  private heardAtMs = 0;
  private levelAtMs = 0;
  private wantedAtMs = Number.NEGATIVE_INFINITY;
  private failures = 0;
  private doubtedAtMs = Number.NEGATIVE_INFINITY;
  private retryAtMs = 0;
  private begun = false;
  private inStep = false;
  private beginning: Promise<void> | undefined;
  private timer: Repeating | undefined;

  constructor(private readonly options: LogFollowerOptions) {}

  get version(): number {
    return this.log.version;
  }

  get term(): number {
    return this.log.term;
  }

  /** The node that is followed now; undefined while none is. */
  get followedNode(): string | undefined {
    return this.node?.id;
  }

  /** `watched` = whether anybody watches; asked often. */
  start(watched: () => boolean): void {
    this.timer = repeat(() => this.turn(watched()), {
      everyMs: TURN_MS,
      onError: (error) =>
        this.options.logger.error({ error }, 'following the change log failed: it is tried again'),
    });
  }

  async stop(): Promise<void> {
    await this.timer?.stop();
    this.stream?.close();
  }

  /** Resolves when the log is followed and stands where the cluster stands: a watch may begin. */
  async ready(): Promise<void> {
    const nowMs = this.options.clock.monotonicMs();
    this.wantedAtMs = nowMs;
    if (this.inStep) return;
    this.beginning ??= this.begin().finally(() => {
      this.beginning = undefined;
    });
    await this.beginning;
  }

  recent(after: number, limit: number, maxBytes: number): readonly Change[] | 'older' {
    return this.log.recent(after, limit, maxBytes);
  }

  older(query: LogQuery): Promise<LogPage | 'compacted'> {
    return this.options.nodeLog.after(query);
  }

  newestVersion(): Promise<number | undefined> {
    return this.options.nodeLog.newestVersion();
  }

  present(query: PresentQuery): Promise<PresentPage | 'expired'> {
    return this.options.nodeLog.present(query);
  }

  onChanges(listener: (changes: readonly Change[]) => void): () => void {
    this.changeListeners.add(listener);
    return () => this.changeListeners.delete(listener);
  }

  onReset(listener: (reset: SourceReset) => void): () => void {
    this.resetListeners.add(listener);
    return () => this.resetListeners.delete(listener);
  }

  private async begin(): Promise<void> {
    const { directory, prober, clock } = this.options;
    const untilMs = clock.monotonicMs() + READY_WITHIN_MS;
    if (!this.begun) {
      if (directory.headVersion === 0) await prober.askAll();
      this.begun = true;
      this.log.begin(directory.headVersion);
      this.tellReset({ version: this.log.version, reason: 'compacted' });
    }
    if (this.stream === undefined) this.follow();
    while (!this.inStep) {
      if (clock.monotonicMs() > untilMs) {
        throw new Problem('no-available-node', 'no node can be followed at the moment');
      }
      await this.nextStep();
    }
  }

  private turn(watched: boolean): void {
    const nowMs = this.options.clock.monotonicMs();
    if (watched) this.wantedAtMs = nowMs;
    if (!this.begun) return;
    if (nowMs - this.wantedAtMs > LINGER_MS) {
      this.leave(undefined);
      this.begun = false; // whoever comes next begins where the cluster then stands
      return;
    }
    if (this.stream === undefined) {
      if (nowMs >= this.retryAtMs) this.follow();
      return;
    }
    if (nowMs - this.heardAtMs > SILENT_AFTER_MS) this.leave('silent');
    else if (this.isLevel()) this.levelAtMs = nowMs;
    else if (nowMs - this.levelAtMs > BEHIND_FOR_MS && this.hasOthers()) this.leave('behind');
    if (this.stream !== undefined && this.node !== undefined) this.moveOn(this.node, nowMs);
  }

  /** Goes to the node that this gateway would have chosen had it been there, when it has been fit for a while. */
  private moveOn(followed: Candidate, nowMs: number): void {
    const [best = []] = this.options.balancer.tiers(nowMs);
    const level = best.filter(({ id }) => this.standsAt(id) >= this.log.version);
    if (this.options.choice.shouldReturn(followed, level, nowMs))
      this.leave('another is preferred', 'chosen');
  }

  private standsAt(id: string): number {
    return this.options.directory.table.get(id)?.version ?? 0;
  }

  private follow(): void {
    const { upstreams, balancer, choice, clock, signer } = this.options;
    const nowMs = clock.monotonicMs();
    const node = choice.choose(balancer.tiers(nowMs), nowMs);
    if (node === undefined) return;
    this.node = node;
    node.follows += 1;
    this.heardAtMs = nowMs;
    this.levelAtMs = nowMs;
    const stream = FollowStream.open(
      upstreams,
      { address: node.address, after: this.log.version, signer },
      {
        message: (message) => {
          if (this.stream === stream) this.take(message);
        },
        end: (end) => {
          if (this.stream === stream) this.ended(end);
        },
      },
    );
    this.stream = stream;
  }

  private take(message: FollowMessage): void {
    const { stream } = this;
    const before = this.log.version;
    this.heardAtMs = this.options.clock.monotonicMs();
    const id = this.node?.id ?? '';
    for (const step of this.log.receive(message, { id, leads: this.options.directory.leader.id === id })) {
      if (step.do === 'tell') for (const listener of this.changeListeners) listener(step.changes);
      else if (step.do === 'reset') this.tellReset(step);
      else this.leave(step.why);
    }
    if (this.stream !== stream) return;
    if ('head' in message && message.head.version < this.log.version) this.doubt(stream);
    // That a node speaks is no proof that its log can be read on: a head comes before the change that it may fail at.
    if (this.log.version !== before || ('head' in message && message.head.version === before)) {
      this.failures = 0;
      this.options.choice.inStep();
    }
    this.inStep = true;
    this.wake();
  }

  /**
   * The followed node stands below what was told here. It may be behind; or the database was restored to an earlier
   * state, and what was told here is of a history that is no more: that shows where the history ends now.
   */
  private doubt(stream: FollowStream | undefined): void {
    const nowMs = this.options.clock.monotonicMs();
    if (nowMs - this.doubtedAtMs < DOUBT_EVERY_MS) return;
    this.doubtedAtMs = nowMs;
    const { version } = this.log;
    this.newestVersion().then(
      (newest) => {
        if (newest === undefined || newest >= version || this.stream !== stream) return;
        this.options.logger.warn(
          { version, newest },
          'the followed history was replaced: watchers are reset',
        );
        this.log.begin(newest);
        this.tellReset({ version: newest, reason: 'diverged' });
        this.leave('its history ends earlier', 'chosen');
      },
      (error: unknown) => {
        crashOnDefect(error);
        this.options.logger.error(
          { error },
          'reading the end of the history failed: watchers are left as they are',
        );
      },
    );
  }

  private ended({ why, damaged }: StreamEnd): void {
    const { directory, logger } = this.options;
    const { version: after } = this.log;
    const unreadable = damaged ? this.unreadable.damaged(after, this.node?.id ?? '') : undefined;
    if (unreadable === 'leave-out') {
      this.log.begin(Math.max(directory.headVersion, after + 1));
      logger.error(
        { after, version: this.log.version, why },
        'the change log cannot be read: watchers are reset past that change',
      );
      this.tellReset({ version: this.log.version, reason: 'compacted' });
    }
    this.leave(why);
  }

  /** Lets go of the node that is followed; `why` undefined = nobody needs it any more. */
  private leave(why: string | undefined, how: 'failed' | 'chosen' = 'failed'): void {
    const { clock, logger, choice, balancer } = this.options;
    const nowMs = clock.monotonicMs();
    this.stream?.close();
    if (this.stream !== undefined && this.node !== undefined) {
      this.node.follows -= 1;
      if (why !== undefined && how === 'failed') choice.failed(this.node, balancer.tiers(nowMs), nowMs);
    }
    this.stream = undefined;
    this.inStep = false;
    if (why === undefined) return;
    logger.info(
      { followed: this.node?.id, why, version: this.log.version },
      'following the change log of another node',
    );
    this.retryAtMs = nowMs + (this.failures === 0 ? 0 : fullJitterMs(RETRY, this.failures, systemRng));
    this.failures += 1;
    this.wake();
    if (nowMs >= this.retryAtMs) this.follow();
  }

  private tellReset(reset: SourceReset): void {
    for (const listener of this.resetListeners) listener({ version: reset.version, reason: reset.reason });
  }

  private isLevel(): boolean {
    return this.log.version >= this.options.directory.headVersion;
  }

  private hasOthers(): boolean {
    return (this.options.directory.tiers()[0] ?? []).some(({ address }) => address !== this.node?.address);
  }

  private wake(): void {
    for (const waiter of [...this.waiters]) waiter();
  }

  private async nextStep(): Promise<void> {
    const step = deferred<void>();
    const waiter = () => step.resolve();
    this.waiters.add(waiter);
    try {
      await Promise.race([step.promise, sleep(TURN_MS)]);
    } finally {
      this.waiters.delete(waiter);
    }
  }
}
