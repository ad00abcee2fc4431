import type { Change, SyncReply } from '#libs/contracts';
import { type Clock, crashOnDefect, sleep } from '#libs/kernel';
import type { BusLogger } from '#libs/messaging';
import { judgeAnswer, judgePage, judgePosition, type ReportedPosition } from './domain/history-check.js';
import type { SyncOutcome, SyncTask } from './domain/sync-action.js';
import type { SyncPlanner } from './domain/sync-planner.js';
import { TokenBucket } from './domain/token-bucket.js';
import { failureOf } from './node-refusal.js';
import type { SyncSettings } from './sync.config.js';
import type { SyncMetrics } from './sync.metrics.js';
import type { SyncStore } from './sync.store.js';
import type { SyncNodeClient } from './sync-node-client.js';

/** The page that follows, asked for while the node applies the one before. */
interface Ahead {
  after: number;
  page: Promise<Change[] | 'compacted'>;
}

export interface NodeAddresses {
  addressOf(nodeId: string): string | undefined;
  /** Nodes that a state can be had from, the best first. */
  sources(besides: string): string[];
}

type Push = Extract<SyncTask, { type: 'push' }>;

export interface PusherParts {
  planner: SyncPlanner;
  members: NodeAddresses;
  store: SyncStore;
  calls: SyncNodeClient;
  metrics: SyncMetrics;
  settings: SyncSettings;
  clock: Clock;
  logger: BusLogger;
  diverged: (nodeId: string, position: ReportedPosition) => void;
}

/** Carries out what the planner wants done with a node, task after task. */
export class Pusher {
  private readonly running = new Set<Promise<void>>();
  private readonly throttle: TokenBucket;
  private readonly stopping = new AbortController();

  constructor(private readonly parts: PusherParts) {
    const { settings } = parts;
    this.throttle = new TokenBucket(settings.changesPerSecond, settings.planner.batch.most);
  }

  begin(task: SyncTask): void {
    const run: Promise<void> = this.run(task).finally(() => this.running.delete(run));
    this.running.add(run);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.all(this.running);
  }

  /** Batch after batch until the planner has enough. Never rejects. */
  private async run(task: SyncTask): Promise<void> {
    const { planner, clock } = this.parts;
    const pages: { ahead: Ahead | undefined } = { ahead: undefined };
    for (let next: SyncTask | undefined = task; next !== undefined; ) {
      const outcome = await this.outcomeOf(next, pages);
      this.count(next, outcome);
      if (outcome.type === 'diverged') this.parts.diverged(next.nodeId, outcome.position);
      next = planner.report(next.ticket, outcome, clock.monotonicMs());
    }
    await pages.ahead?.page.catch(crashOnDefect); // asked for and not needed
  }

  private async outcomeOf(task: SyncTask, pages: { ahead: Ahead | undefined }): Promise<SyncOutcome> {
    if (this.stopping.signal.aborted) return { type: 'failed', reason: 'stopped' };
    const address = this.parts.members.addressOf(task.nodeId);
    if (address === undefined) return { type: 'failed', reason: 'unreachable' };
    try {
      if (task.type === 'push') return await this.push(task, address, pages);
      if (task.type === 'check') return await this.check(task.position, true);
      return await this.ask(task, address);
    } catch (error) {
      crashOnDefect(error);
      const failure = failureOf(error);
      this.parts.logger.debug(
        { nodeId: task.nodeId, task: task.type, ...failure, why: String(error) },
        'no progress',
      );
      return { type: 'failed', ...failure };
    }
  }

  private async push(task: Push, address: string, pages: { ahead: Ahead | undefined }): Promise<SyncOutcome> {
    const { after, limit, verify } = task;
    const begunMs = this.parts.clock.monotonicMs();
    if (verify) {
      const found = await this.check(after, false);
      if (found.type !== 'in-log') return found;
    }
    const page = await this.pageAfter(after.version, limit, pages);
    if (page === undefined) return { type: 'failed', reason: 'no-log' };
    const verdict = page === 'compacted' ? page : judgePage(after.version, page);
    if (page === 'compacted' || verdict === 'compacted') return { type: 'compacted' };
    if (verdict === 'empty') return { type: 'failed', reason: 'no-log' };
    this.readAhead(page, limit, pages);
    await this.pace(page.length);
    const answer = await this.parts.calls.push(address, page, this.parts.settings.pushTimeoutMs);
    return this.judge(after, page, answer, this.parts.clock.monotonicMs() - begunMs);
  }

  private judge(
    after: ReportedPosition,
    page: readonly Change[],
    answer: SyncReply,
    tookMs: number,
  ): SyncOutcome {
    const verdict = judgeAnswer(after, page, answer);
    if (verdict === 'diverged') return { type: 'diverged', position: answer };
    if (verdict !== 'known') return { type: 'elsewhere', position: answer };
    const changes = page.findIndex(({ version }) => version === answer.version) + 1;
    this.parts.metrics.changes.inc(changes);
    const changesPerSecond = (changes * 1_000) / tookMs;
    return { type: 'taken', position: answer, changes, changesPerSecond };
  }

  /** Whether the log has a history. Undefined: the log could not be read. */
  private async check(position: ReportedPosition, hasToBe: boolean): Promise<SyncOutcome> {
    if (position.version === 0) return { type: 'in-log' };
    const page = await this.page(position.version - 1, 1).catch(unreadable);
    if (page === undefined) return { type: 'failed', reason: 'no-log' };
    if (page === 'compacted') return { type: 'compacted' };
    const verdict = judgePosition(position, page[0]);
    if (verdict === 'unknown') return hasToBe ? { type: 'in-log' } : { type: 'failed', reason: 'no-log' };
    return verdict === 'diverged' ? { type: 'diverged', position } : { type: verdict };
  }

  private async pageAfter(
    version: number,
    limit: number,
    pages: { ahead: Ahead | undefined },
  ): Promise<Change[] | 'compacted' | undefined> {
    const { ahead } = pages;
    pages.ahead = undefined;
    const page = ahead?.after === version ? ahead.page : this.page(version, limit);
    // A page that was asked for before the limit fell is cut.
    const changes = await page.catch(unreadable);
    return typeof changes === 'object' ? changes.slice(0, limit) : changes;
  }

  private readAhead(page: readonly Change[], limit: number, pages: { ahead: Ahead | undefined }): void {
    const last = page.at(-1)?.version;
    if (last === undefined || last >= this.parts.planner.headVersion) return;
    pages.ahead = { after: last, page: this.page(last, limit + this.parts.settings.planner.batch.growBy) };
    pages.ahead.page.catch(unreadable);
  }

  private page(after: number, limit: number): Promise<Change[] | 'compacted'> {
    const { batchBytes, planner } = this.parts.settings;
    return this.parts.store.changesAfter(after, Math.min(limit, planner.batch.most), batchBytes);
  }

  private async pace(changes: number): Promise<void> {
    const waitMs = this.throttle.withdraw(changes, this.parts.clock.monotonicMs());
    if (waitMs <= 0) return;
    this.parts.metrics.throttledSeconds.inc(waitMs / 1_000);
    await sleep(waitMs, this.stopping.signal);
  }

  private async ask(
    task: Extract<SyncTask, { type: 'load' | 'heal' }>,
    address: string,
  ): Promise<SyncOutcome> {
    const { askTimeoutMs, loadTimeoutMs } = this.parts.settings;
    if (task.type === 'heal') {
      await this.parts.calls.catchUp(address, { by: 'head' }, askTimeoutMs);
      return { type: 'told' };
    }
    // A load would wipe what only a diverged node holds, before it can save that.
    const found = await this.check(task.position, false);
    if (found.type !== 'in-log' && found.type !== 'compacted') return found;
    const begunMs = this.parts.clock.monotonicMs();
    const from = this.parts.members.sources(task.nodeId).slice(0, 5);
    const { version, chain, entries } = await this.parts.calls.catchUp(
      address,
      { by: 'state', from },
      loadTimeoutMs,
    );
    const keysPerSecond = (entries * 1_000) / (this.parts.clock.monotonicMs() - begunMs);
    this.parts.logger.info({ nodeId: task.nodeId, version, entries }, 'a node loaded a full state transfer');
    return { type: 'loaded', position: { version, chain }, keysPerSecond };
  }

  private count(task: SyncTask, outcome: SyncOutcome): void {
    const label = { outcome: outcome.type === 'failed' ? outcome.reason : outcome.type };
    if (task.type === 'push') this.parts.metrics.pushes.inc(label);
    if (task.type === 'load') this.parts.metrics.snapshots.inc(label);
  }
}

/** The log cannot be read now: the pool of the database logs why. */
function unreadable(error: unknown): undefined {
  crashOnDefect(error);
  return undefined;
}
