import { type Change, LIMITS, Problem } from '#libs/contracts';
import { invariant, unreachable } from '#libs/kernel';
import type { Replica } from '#libs/replica';
import type { Fence, HeadState } from '../log.types.js';
import { type Batch, formBatch, lostBatch, outcomeOperations, sameRequest } from './batch.js';
import type {
  CommitterAction,
  CommitterInput,
  LoggedChange,
  StatementFailure,
  StepDownReason,
  StoredAnswer,
} from './committer.types.js';
import { CommitterActions, outcomeUnknown, storageUnavailable, unconfirmed } from './committer-actions.js';
import { KeyLookUps } from './key-look-ups.js';
import type { Versions } from './pending-view.js';
import { RecentKeys } from './recent-keys.js';
import type { WriteRequest } from './write.js';
import { newPending, type Pending, type QueueBounds, WriteQueue } from './write-queue.js';

/*
 * Group commit. Writes wait in a queue while one batch is under way; when its outcome is known the next is formed.
 *
 *   idle -> committing -> idle                      the batch's own statement found the fence: committed
 *           committing -> reading-head              it did not: nothing of it happened; who leads?
 *           committing -> bumping                   no certain answer: first make the statement harmless ...
 *           bumping    -> reading-log | idle        ... then head tells whether it was committed before that
 *           bumping    -> reading-head -> reading-log    another leads: the log tells
 *   idle -> confirming -> idle | reading-head       nothing to write: refusals, or a sign of life, need the fence
 *
 * Nothing that was decided from memory is answered before a statement begun after the request arrived has found the
 * fence as it should be. Until the fate of a batch is known its writes get success or `outcome-unknown`.
 */
type Phase =
  | { name: 'idle' }
  | { name: 'committing'; batch: Batch }
  | { name: 'confirming'; batch: Batch }
  | { name: 'bumping'; batch: Batch; retryAtMs: number | null }
  | { name: 'reading-head'; batch: Batch | null; retryAtMs: number | null }
  | { name: 'reading-log'; batch: Batch; retryAtMs: number | null };

/** From where each phase is entered. */
const ENTERED_FROM: Readonly<Record<Phase['name'], readonly Phase['name'][]>> = {
  idle: ['committing', 'confirming', 'bumping', 'reading-head', 'reading-log'],
  committing: ['idle'],
  confirming: ['idle'],
  bumping: ['committing', 'reading-head', 'bumping'],
  'reading-head': ['committing', 'confirming', 'bumping', 'reading-head'],
  'reading-log': ['bumping', 'reading-head', 'reading-log'],
};

export interface CommitterOptions {
  queue: QueueBounds;
  recentKeys: { ageMs: number; operations: number };
  /** How often an idle leader makes sure that it still leads. */
  confirmEveryMs: number;
  /** Before the same statement is tried again. */
  retryAfterMs: number;
}

export const COMMITTER_OPTIONS: CommitterOptions = {
  queue: { writes: 8_192, bytes: 64 * 1024 * 1024 },
  recentKeys: { ageMs: 600_000, operations: 100_000 },
  confirmEveryMs: 1_000,
  retryAfterMs: 100,
};

/** Fences that differ from head in nothing but their attempt, in a row, before the leader gives up. */
const MAX_REFENCES = 5;

export class Committer {
  private readonly queue: WriteQueue;
  private readonly recent: RecentKeys;
  private readonly memory: Versions;
  private phase: Phase = { name: 'idle' };
  private fence: Fence | undefined;
  private lostTo: number | null = null;
  private pausedUntilMs: number | undefined;
  private drainTold = false;
  private confirmedSentAtMs = Number.NEGATIVE_INFINITY;
  private confirmDueAtMs = 0;
  /** The last statement could not be sent at all: whoever comes now is told at once. */
  private storageAway = false;
  /** Nothing is begun before then: the database has just failed to do the same thing. */
  private restsUntilMs = Number.NEGATIVE_INFINITY;
  private lastFailure: string | undefined;
  /** Shrinks when the database refuses a batch for its data, so that one bad write fails alone. */
  private maxChanges: number = LIMITS.batchChanges;
  private refences = 0;
  private readonly out = new CommitterActions();
  private readonly lookUps = new KeyLookUps();

  constructor(
    private readonly replica: Replica,
    private readonly options: CommitterOptions = COMMITTER_OPTIONS,
  ) {
    this.queue = new WriteQueue(options.queue);
    this.recent = new RecentKeys(options.recentKeys);
    this.memory = { versionAt: (namespace, key) => replica.get(namespace, key)?.version };
  }

  /** May it be told to lead? Not while the fate of an earlier term's batch is open. */
  get isIdle(): boolean {
    return this.phase.name === 'idle';
  }
  get isLeading(): boolean {
    return this.fence !== undefined;
  }
  get queued(): number {
    return this.queue.length;
  }
  get isPaused(): boolean {
    return this.pausedUntilMs !== undefined;
  }
  /** Name of what it is doing, for logs and metrics. */
  get phaseName(): Phase['name'] {
    return this.phase.name;
  }

  /** Takes one input and returns what must be done, in that order. */
  handle(input: CommitterInput, nowMs: number): CommitterAction[] {
    this.dispatch(input, nowMs);
    return this.out.drain();
  }

  private dispatch(input: CommitterInput, nowMs: number): void {
    switch (input.type) {
      case 'submit':
        this.submit(input.ticket, input.request, nowMs);
        return;
      case 'cancel':
        this.cancel(input.ticket);
        return;
      case 'lead':
        this.lead(input.fence, input.lostTo, nowMs);
        return;
      case 'step-down':
        this.stepDown(input.why, undefined);
        return;
      case 'pause':
        this.pause(input.untilMs, nowMs);
        return;
      case 'tick':
        this.tick(nowMs);
        return;
      case 'committed':
        this.committed(input.createdAt, nowMs);
        return;
      case 'fenced':
        this.fenced();
        return;
      case 'confirmed':
        this.confirmed(input.holds, nowMs);
        return;
      case 'bumped':
        this.bumped(input.head, nowMs);
        return;
      case 'head':
        this.headRead(input.head, nowMs);
        return;
      case 'log':
        this.logRead(input.next, nowMs);
        return;
      case 'failed':
        this.failed(input.failure, input.message, nowMs);
        return;
      case 'looked-up':
        this.lookedUp(input.id, input.found, nowMs);
        return;
      case 'look-up-failed':
        this.lookUpFailed(input, nowMs);
        return;
      default:
        unreachable(input);
    }
  }

  // ---- writes come in ----------------------------------------------------------------------------------------

  private submit(ticket: number, request: WriteRequest, nowMs: number): void {
    const { fence } = this;
    if (fence === undefined || (request.aimTerm !== null && request.aimTerm !== fence.term)) {
      this.out.push({ type: 'not-leader', ticket });
      return;
    }
    if (this.join(ticket, request)) return;
    if (this.pausedUntilMs !== undefined) {
      this.out.refuse(ticket, new Problem('no-leader', 'leadership is being handed over'));
      return;
    }
    const pending = newPending(request, ticket);
    const mayBeRepeat = request.idempotencyKey !== null && !request.keyIsFresh;
    if (!this.queue.hasRoomFor(pending.bytes, mayBeRepeat ? 2 : 1)) {
      this.out.refuse(ticket, new Problem('cluster-busy', 'too many writes are waiting'));
      return;
    }
    if (this.storageAway && this.phase.name !== 'idle') {
      this.out.refuse(ticket, storageUnavailable());
      return;
    }
    this.queue.push(pending);
    if (mayBeRepeat && !this.recent.has(request.idempotencyKey ?? '')) this.lookUps.want(pending);
    this.proceed(nowMs);
  }

  /** A repeat of a write that is queued, or under way and accepted, waits for the same answer. */
  private join(ticket: number, request: WriteRequest): boolean {
    const key = request.idempotencyKey;
    if (key === null) return false;
    const same = (pending: Pending | undefined) =>
      pending !== undefined && sameRequest(pending.request.requestHash, request.requestHash);
    const queued = this.queue.withKey(key);
    const underWay = this.batch?.members.find((member) => member.pending.request.idempotencyKey === key);
    const pending = [underWay?.pending, queued].find(same);
    if (pending === undefined) return false;
    pending.waiters.push({ ticket, deadlineMs: request.deadlineMs });
    return true;
  }

  private cancel(ticket: number): void {
    const isTicket = (waiter: { ticket: number }) => waiter.ticket === ticket;
    this.queue.removeWaiters(isTicket);
    for (const pending of this.batch?.pendings ?? []) {
      pending.waiters = pending.waiters.filter((waiter) => !isTicket(waiter));
    }
  }

  // ---- terms -------------------------------------------------------------------------------------------------

  private lead(fence: Fence, lostTo: number | null, nowMs: number): void {
    invariant(this.isIdle, `a term began in phase ${this.phase.name}`);
    invariant(
      this.replica.version === fence.version && this.replica.chain === fence.chain,
      'a leader stands where head stands',
    );
    this.fence = { ...fence };
    this.lostTo = lostTo !== null && lostTo > fence.version ? lostTo : null;
    this.pausedUntilMs = undefined;
    this.storageAway = false;
    this.restsUntilMs = Number.NEGATIVE_INFINITY;
    this.maxChanges = LIMITS.batchChanges;
    this.refences = 0;
    this.confirmedSentAtMs = nowMs;
    this.confirmDueAtMs = nowMs + this.options.confirmEveryMs;
    // What an earlier term committed, the database knows; a database that lost some of it knows better.
    this.recent.clear();
    this.proceed(nowMs);
  }

  private stepDown(why: StepDownReason, head: HeadState | undefined): void {
    if (this.fence === undefined) return;
    this.fence = undefined;
    this.lookUps.clear();
    this.pausedUntilMs = undefined;
    this.out.push({ type: 'stepped-down', why, head });
    for (const pending of this.queue.dequeue(this.queue.length)) this.out.notLeader(pending);
  }

  private pause(untilMs: number, nowMs: number): void {
    if (this.fence === undefined) return;
    this.pausedUntilMs = untilMs;
    this.drainTold = false;
    this.proceed(nowMs);
  }

  // ---- time --------------------------------------------------------------------------------------------------

  private tick(nowMs: number): void {
    if (this.pausedUntilMs !== undefined && nowMs >= this.pausedUntilMs) this.pausedUntilMs = undefined;
    this.expire(nowMs);
    this.retry(nowMs);
    this.proceed(nowMs);
  }

  /** Whoever ran out of time: out of the queue first, then answered. */
  private expire(nowMs: number): void {
    const isLate = (waiter: { deadlineMs: number }) => nowMs >= waiter.deadlineMs;
    const silent = nowMs - this.confirmedSentAtMs > 2 * this.options.confirmEveryMs;
    for (const { ticket } of this.queue.removeWaiters(isLate)) {
      this.out.refuse(
        ticket,
        silent ? storageUnavailable(this.lastFailure) : new Problem('cluster-busy', 'its turn did not come'),
      );
    }
    for (const { pending } of this.batch?.members ?? []) this.out.expire(pending, nowMs, outcomeUnknown);
    for (const settled of this.batch?.settled ?? []) {
      this.out.expire(settled.pending, nowMs, () => unconfirmed(settled));
    }
  }

  private retry(nowMs: number): void {
    const { phase } = this;
    if (!('retryAtMs' in phase) || phase.retryAtMs === null || nowMs < phase.retryAtMs) return;
    switch (phase.name) {
      case 'bumping':
        this.bump(phase.batch);
        return;
      case 'reading-head':
        this.readHead(phase.batch);
        return;
      case 'reading-log':
        this.readLog(phase.batch);
        return;
    }
  }

  // ---- batches -----------------------------------------------------------------------------------------------

  /** Starts what can be started. */
  private proceed(nowMs: number): void {
    const { fence } = this;
    if (fence === undefined || nowMs < this.restsUntilMs) return;
    const lookUp = this.lookUps.begin();
    if (lookUp !== undefined) this.out.push(lookUp);
    if (this.phase.name !== 'idle') return;
    if (this.lostTo !== null) {
      this.send(lostBatch(fence, this.lostTo, nowMs));
      return;
    }
    const batch = formBatch(this.queue, fence, this.memory, this.recent, this.maxChanges, nowMs);
    if (batch.entries.length > 0) {
      this.send(batch);
      return;
    }
    if (batch.settled.length > 0 || nowMs >= this.confirmDueAtMs) {
      this.confirmDueAtMs = nowMs + this.options.confirmEveryMs;
      this.enter({ name: 'confirming', batch });
      this.out.push({ type: 'confirm', fence: batch.fence });
      return;
    }
    if (this.pausedUntilMs !== undefined && this.queue.length === 0 && !this.drainTold) {
      this.drainTold = true;
      this.out.push({ type: 'drained' });
    }
  }

  private send(batch: Batch): void {
    this.enter({ name: 'committing', batch });
    this.confirmDueAtMs = batch.sentAtMs + this.options.confirmEveryMs;
    const { fence, entries, version, chain } = batch;
    this.out.push({ type: 'commit', fence, batch: entries, version, chain });
  }

  private lookedUp(id: number, found: ReadonlyMap<string, StoredAnswer>, nowMs: number): void {
    this.lookUps.end(id, found);
    this.proceed(nowMs);
  }

  private lookUpFailed(input: Extract<CommitterInput, { type: 'look-up-failed' }>, nowMs: number): void {
    const asked = new Set(this.lookUps.end(input.id, undefined));
    this.lastFailure = input.message;
    if (input.failure === 'unavailable') {
      for (const pending of this.queue.remove((queued) => asked.has(queued))) {
        this.out.refuseAll(pending, storageUnavailable(input.message));
      }
    } else {
      for (const pending of asked) this.lookUps.want(pending);
      this.restsUntilMs = nowMs + this.options.retryAfterMs;
    }
    this.proceed(nowMs);
  }

  private committed(createdAt: string, nowMs: number): void {
    invariant(this.phase.name === 'committing', `a commit was answered in phase ${this.phase.name}`);
    this.fenceHeld(this.phase.batch);
    this.finish(this.phase.batch, createdAt, nowMs);
  }

  private fenced(): void {
    invariant(this.phase.name === 'committing', `a commit was answered in phase ${this.phase.name}`);
    this.requeue(this.phase.batch);
    this.readHead(null);
  }

  private confirmed(holds: boolean, nowMs: number): void {
    invariant(this.phase.name === 'confirming', `a confirmation was answered in phase ${this.phase.name}`);
    const { batch } = this.phase;
    if (!holds) {
      this.requeue(batch);
      this.readHead(null);
      return;
    }
    this.fenceHeld(batch);
    this.enter({ name: 'idle' });
    this.proceed(nowMs);
    this.out.settle(batch.settled);
  }

  /** The batch is committed: to memory, the next one on its way, then the answers, then the news. */
  private finish(batch: Batch, createdAt: string, nowMs: number): void {
    const changes: Change[] = batch.entries.map(({ change }) => ({ ...change, createdAt }));
    const stillLeads = this.fence?.term === batch.fence.term;
    const applied = changes.filter((change) => this.applyToMemory(change, stillLeads));
    const outcomes = batch.members.map(({ pending, entry }, index) => {
      const { version, term, operations } = changes[index] as Change;
      const { created } = entry;
      const outcome = { version, term, createdAt, created, operations: outcomeOperations(operations) };
      if (entry.requestId !== null) this.recent.add(entry.requestId, entry.requestHash, outcome, nowMs);
      return { pending, outcome };
    });
    if (this.fence !== undefined && stillLeads) {
      this.fence = { ...this.fence, version: batch.version, chain: batch.chain };
    }
    if (batch.members.length === 0) this.lostTo = null;
    this.maxChanges = Math.min(LIMITS.batchChanges, this.maxChanges * 2);
    this.enter({ name: 'idle' });
    this.proceed(nowMs);
    for (const { pending, outcome } of outcomes) this.out.answer(pending, outcome);
    this.out.settle(batch.settled);
    if (applied.length > 0) this.out.push({ type: 'applied', changes: applied });
  }

  /** A node that has stepped down meanwhile may have got its own change from the log, or may follow another history. */
  private applyToMemory(change: Change, stillLeads: boolean): boolean {
    if (!stillLeads) return this.replica.apply(change) === 'applied';
    this.replica.applyOwn(change);
    return true;
  }

  private fenceHeld(batch: Batch): void {
    this.storageAway = false;
    this.refences = 0;
    this.confirmedSentAtMs = Math.max(this.confirmedSentAtMs, batch.sentAtMs);
    this.out.push({ type: 'fence-confirmed', sentAtMs: batch.sentAtMs });
  }

  /** Nothing of the batch happened: its writes are decided anew, or told whom to ask. */
  private requeue(batch: Batch): void {
    if (this.fence !== undefined) this.queue.unshift(batch.pendings);
    else for (const pending of batch.pendings) this.out.notLeader(pending);
  }

  // ---- when something went wrong -----------------------------------------------------------------------------

  private failed(failure: StatementFailure, message: string, nowMs: number): void {
    const { phase } = this;
    this.storageAway = failure === 'unavailable';
    this.lastFailure = message;
    switch (phase.name) {
      case 'idle':
        invariant(false, `a statement failed in phase ${this.phase.name}`);
        return;
      case 'committing':
        if (failure === 'unknown') {
          this.bump(phase.batch);
          return;
        }
        if (failure === 'data') {
          this.halve(phase.batch, message, nowMs);
          return;
        }
        this.notDone(phase.batch, failure, message, nowMs);
        return;
      case 'confirming':
        this.notDone(phase.batch, failure, message, nowMs);
        return;
      default:
        phase.retryAtMs = nowMs + this.options.retryAfterMs;
        if (this.storageAway) this.refuseQueued();
    }
  }

  /** While a batch's fate can't be learnt for want of the database, nobody else waits in vain. */
  private refuseQueued(): void {
    for (const pending of this.queue.dequeue(this.queue.length)) {
      this.out.refuseAll(pending, storageUnavailable());
    }
  }

  /** No effect, and the reason is not in the writes. With a database that answers they are tried again. */
  private notDone(batch: Batch, failure: StatementFailure, message: string, nowMs: number): void {
    this.enter({ name: 'idle' });
    if (failure !== 'unavailable') {
      this.requeue(batch);
      this.restsUntilMs = nowMs + this.options.retryAfterMs;
      return;
    }
    for (const { pending } of batch.members) this.out.refuseAll(pending, storageUnavailable(message));
    for (const settled of batch.settled) this.out.refuseAll(settled.pending, unconfirmed(settled));
    this.proceed(nowMs);
  }

  /** One of the batch's writes is at fault: in halves it fails alone. */
  private halve(batch: Batch, message: string, nowMs: number): void {
    const [only, ...others] = batch.members;
    invariant(only !== undefined, 'the database rejected a change of this process as invalid data');
    if (others.length > 0) {
      this.maxChanges = Math.ceil(batch.members.length / 2);
      this.enter({ name: 'idle' });
      this.requeue(batch);
      this.proceed(nowMs);
      return;
    }
    const { pending } = only;
    const unasked = pending.keyLookUp === 'unasked' && pending.request.idempotencyKey !== null;
    if (unasked) {
      this.lookUps.want(pending); // the key was not as fresh as it was said to be
    } else {
      this.out.refuseAll(
        pending,
        new Problem('invalid-value', `the database refuses this change: ${message}`),
      );
      pending.waiters = [];
    }
    this.enter({ name: 'idle' });
    this.requeue(batch);
    this.proceed(nowMs);
  }

  private bump(batch: Batch): void {
    this.enter({ name: 'bumping', batch, retryAtMs: null });
    this.out.push({ type: 'bump', fence: batch.fence });
  }

  private bumped(head: Pick<HeadState, 'version' | 'chain' | 'attempt'> | undefined, nowMs: number): void {
    invariant(this.phase.name === 'bumping', `a new attempt was answered in phase ${this.phase.name}`);
    const { batch } = this.phase;
    this.storageAway = false;
    if (head === undefined) {
      this.readHead(batch);
      return;
    }
    if (this.fence !== undefined) this.fence = { ...this.fence, attempt: head.attempt };
    if (standsAt(head, batch)) {
      this.readLog(batch);
      return;
    }
    if (standsAt(head, batch.fence)) {
      this.enter({ name: 'idle' });
      this.requeue(batch);
      this.proceed(nowMs);
      return;
    }
    this.abandon(batch);
    this.stepDown('history-differs', undefined);
  }

  private readHead(batch: Batch | null): void {
    this.enter({ name: 'reading-head', batch, retryAtMs: null });
    this.out.push({ type: 'read-head' });
  }

  private headRead(head: HeadState, nowMs: number): void {
    invariant(this.phase.name === 'reading-head', `head was read in phase ${this.phase.name}`);
    const { batch } = this.phase;
    this.storageAway = false;
    const mine = this.fence ?? batch?.fence;
    if (mine !== undefined && !isSameTerm(head, mine)) {
      this.stepDown('deposed', head);
      if (batch === null) this.enter({ name: 'idle' });
      else this.settleAfterTerm(batch, head);
      return;
    }
    if (batch !== null) {
      // Head was another's for a moment, or the row was not to be seen: the statement is still to be ended.
      this.bump(batch);
      return;
    }
    this.enter({ name: 'idle' });
    if (this.fence === undefined) return;
    if (!standsAt(head, this.fence) || ++this.refences > MAX_REFENCES) {
      this.stepDown('history-differs', head);
      return;
    }
    this.fence = { ...this.fence, attempt: head.attempt };
    this.proceed(nowMs);
  }

  /** Another term has begun: the statement can't take effect any more, but it may have before. */
  private settleAfterTerm(batch: Batch, head: HeadState): void {
    if (standsAt(head, batch.fence)) {
      this.enter({ name: 'idle' });
      this.requeue(batch);
    } else if (head.version <= batch.fence.version) this.abandon(batch);
    else this.readLog(batch);
  }

  /** The log has a change behind the batch's fence: the batch's own, or another's. */
  private readLog(batch: Batch): void {
    this.enter({ name: 'reading-log', batch, retryAtMs: null });
    this.out.push({ type: 'read-log', after: batch.fence.version });
  }

  private logRead(next: LoggedChange | undefined, nowMs: number): void {
    const { phase } = this;
    invariant(phase.name === 'reading-log', `the log was read in phase ${phase.name}`);
    const { batch } = phase;
    this.storageAway = false;
    if (next === undefined) {
      phase.retryAtMs = nowMs + this.options.retryAfterMs; // a standby that has not got it yet answered
      return;
    }
    if (next.chain === batch.entries[0]?.change.chain) {
      this.finish(batch, next.createdAt, nowMs);
      return;
    }
    this.enter({ name: 'idle' });
    this.requeue(batch);
    this.proceed(nowMs);
  }

  /** Its fate can't be found out here. */
  private abandon(batch: Batch): void {
    this.enter({ name: 'idle' });
    for (const { pending } of batch.members) this.out.refuseAll(pending, outcomeUnknown());
    for (const { pending } of batch.settled) this.out.notLeader(pending);
  }

  /** The one place where the phase changes. */
  private enter(phase: Phase): void {
    const from = this.phase.name;
    invariant(ENTERED_FROM[phase.name].includes(from), `phase ${phase.name} was entered from ${from}`);
    this.phase = phase;
  }

  private get batch(): Batch | undefined {
    return 'batch' in this.phase ? (this.phase.batch ?? undefined) : undefined;
  }
}

function standsAt(
  head: { version: number; chain: string },
  point: { version: number; chain: string },
): boolean {
  return head.version === point.version && head.chain === point.chain;
}

function isSameTerm(head: HeadState, fence: Fence): boolean {
  return (
    head.term === fence.term && head.leaderId === fence.leaderId && head.incarnation === fence.incarnation
  );
}
