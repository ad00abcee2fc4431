import type { Change } from '#libs/contracts';
import { Problem } from '#libs/contracts';
import { type Clock, type Deferred, deferred, invariant, messageOf } from '#libs/kernel';
import { DataError, OutcomeUnknown, StatementRefused, StorageUnavailable } from '#libs/postgres';
import type { Committer } from '../domain/commit/committer.js';
import type {
  CommitterAction,
  CommitterInput,
  StatementFailure,
  StepDownReason,
} from '../domain/commit/committer.types.js';
import { faultOf, type WriteOutcome, type WriteRequest } from '../domain/commit/write.js';
import type { Fence, HeadState } from '../domain/log.types.js';
import type { ConfigStore } from '../store/config.store.js';
import type { PublisherMetrics } from './publisher.metrics.js';
import type { RequestHashes } from './request-hashes.js';

/** What the rest of the node does when something becomes of its writes. */
export interface PublisherEvents {
  /** In memory, and its clients are answered. */
  applied(changes: readonly Change[]): void;
  /** A statement begun then proved that this node may write. */
  fenceConfirmed(sentAtMs: number): void;
  steppedDown(why: StepDownReason, head: HeadState | undefined): void;
  /** Who leads, for whoever asked the wrong node. */
  leader(): { address: string; term: number } | null;
}

const TICK_MS = 50;

/** Drives the committer over the database: carries out its actions and hands it what came of them. */
export class Publisher {
  private readonly waiting = new Map<number, Deferred<WriteOutcome>>();
  private readonly drained: Deferred<void>[] = [];
  private tickets = 0;
  private turn: Promise<unknown> = Promise.resolve();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly committer: Committer,
    private readonly store: ConfigStore,
    private readonly clock: Clock,
    private readonly metrics: PublisherMetrics,
    private readonly events: PublisherEvents,
    private readonly requestHashes: RequestHashes,
  ) {
    this.timer = setInterval(() => this.step({ type: 'tick' }), TICK_MS);
    this.timer.unref();
    metrics.watchQueue(() => committer.queued);
  }

  /** Rejects with a Problem: 412, 404, 421, 422, 429, 503 = it has not happened and will not; 504 = not known. */
  submit(request: WriteRequest): Promise<WriteOutcome> {
    const fault = faultOf(request);
    if (fault !== undefined) return Promise.reject(fault);
    const { signal } = request;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const ticket = ++this.tickets;
    const answer = deferred<WriteOutcome>();
    this.waiting.set(ticket, answer);
    if (signal !== undefined) this.cancelOnAbort(ticket, answer, signal);
    const requestHash = request.requestHash && this.requestHashes.keyed(request.requestHash);
    this.step({ type: 'submit', ticket, request: { ...request, requestHash } });
    return answer.promise;
  }

  get isLeading(): boolean {
    return this.committer.isLeading;
  }

  /** Whether the fate of every batch is known, so that a term may begin. */
  get isIdle(): boolean {
    return this.committer.isIdle;
  }

  lead(fence: Fence, lostTo: number | null): void {
    this.step({ type: 'lead', fence, lostTo });
  }

  stepDown(why: StepDownReason): void {
    this.step({ type: 'step-down', why });
  }

  /** Takes no more writes for so long; resolves when those taken before are done. */
  async pause(pauseMs: number): Promise<void> {
    if (!this.isLeading) throw this.notLeader();
    const done = deferred<void>();
    this.drained.push(done);
    this.step({ type: 'pause', untilMs: this.clock.monotonicMs() + pauseMs });
    await done.promise;
  }

  /** Runs the task while no batch is under way; the next batch waits for it, so it must be short. */
  betweenBatches<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(task);
    this.turn = mine.catch(() => undefined); // whoever asked for it is told
    return mine;
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private step(input: CommitterInput): void {
    for (const action of this.committer.handle(input, this.clock.monotonicMs())) this.perform(action);
  }

  private perform(action: CommitterAction): void {
    switch (action.type) {
      case 'answer':
        this.settle(action.ticket, (waiter) => waiter.resolve(action.outcome));
        break;
      case 'refuse':
        this.metrics.refused.inc({ code: action.problem.code });
        this.settle(action.ticket, (waiter) => waiter.reject(action.problem));
        break;
      case 'not-leader':
        this.metrics.refused.inc({ code: 'not-leader' });
        this.settle(action.ticket, (waiter) => waiter.reject(this.notLeader()));
        break;
      case 'commit':
        this.commit(action);
        break;
      case 'confirm':
        this.ask(this.store.confirmFence(action.fence), (holds) => ({ type: 'confirmed', holds }));
        break;
      case 'bump':
        this.metrics.unknownOutcomes.inc();
        this.ask(this.store.bumpAttempt(action.fence), (head) => ({ type: 'bumped', head }));
        break;
      case 'read-head':
        this.ask(this.store.readHead(), (head) => ({ type: 'head', head }));
        break;
      case 'read-log':
        this.ask(this.store.ownLog.changesAfter(action.after, 1, 1), (page) => {
          invariant(page !== 'compacted', 'the log is compacted beyond the version of the leader');
          return { type: 'log', next: page[0] };
        });
        break;
      case 'look-up':
        this.lookUp(action.id, action.keys);
        break;
      case 'applied':
        this.metrics.committed.inc(action.changes.length);
        this.events.applied(action.changes);
        break;
      case 'fence-confirmed':
        this.events.fenceConfirmed(action.sentAtMs);
        break;
      case 'stepped-down':
        this.events.steppedDown(action.why, action.head);
        for (const done of this.drained.splice(0)) done.reject(this.notLeader());
        break;
      case 'drained':
        for (const done of this.drained.splice(0)) done.resolve();
        break;
    }
  }

  private commit({ fence, batch }: Extract<CommitterAction, { type: 'commit' }>): void {
    this.metrics.batchSize.observe(batch.length);
    const stopTimer = this.metrics.commitSeconds.startTimer();
    const committed = this.betweenBatches(() => this.store.commit(fence, batch));
    this.ask(committed, (result) => {
      stopTimer();
      return result === 'fenced' ? { type: 'fenced' } : { type: 'committed', createdAt: result.createdAt };
    });
  }

  private lookUp(id: number, keys: readonly string[]): void {
    this.store.lookUpRequests(keys).then(
      (found) => {
        for (const request of found.values())
          request.requestHash = this.requestHashes.current(request.requestHash);
        this.step({ type: 'looked-up', id, found });
      },
      (error: unknown) => {
        this.step({ type: 'look-up-failed', id, ...failed(error) });
      },
    );
  }

  private ask<T>(statement: Promise<T>, toInput: (result: T) => CommitterInput): void {
    statement.then(
      (result) => this.step(toInput(result)),
      (error: unknown) => {
        const { failure, message } = failed(error);
        this.metrics.failures.inc({ failure });
        this.step({ type: 'failed', failure, message });
      },
    );
  }

  private settle(ticket: number, how: (waiter: Deferred<WriteOutcome>) => void): void {
    const waiter = this.waiting.get(ticket);
    this.waiting.delete(ticket);
    if (waiter !== undefined) how(waiter);
  }

  private cancelOnAbort(ticket: number, answer: Deferred<WriteOutcome>, signal: AbortSignal): void {
    const onAbort = () => {
      this.step({ type: 'cancel', ticket });
      this.settle(ticket, (waiter) => waiter.reject(signal.reason));
    };
    const stop = () => signal.removeEventListener('abort', onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
    answer.promise.then(stop, stop);
  }

  private notLeader(): Problem {
    const leader = this.events.leader();
    const members = { leader: leader?.address ?? null, leaderTerm: leader?.term ?? null };
    return new Problem('not-leader', 'writes go to the leader', members);
  }
}

function failed(error: unknown): { failure: StatementFailure; message: string } {
  return { failure: failureOf(error), message: messageOf(error) };
}

/** An error that is none of the database's is a fault of the program: it goes on, up to the end of the process. */
function failureOf(error: unknown): StatementFailure {
  if (error instanceof StorageUnavailable) return 'unavailable';
  if (error instanceof OutcomeUnknown) return 'unknown';
  if (error instanceof DataError) return 'data';
  if (error instanceof StatementRefused) return 'refused';
  throw error;
}
