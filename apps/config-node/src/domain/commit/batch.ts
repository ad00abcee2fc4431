import { LIMITS, Problem } from '#libs/contracts';
import { chainAfter } from '#libs/replica';
import type { BatchChange, Fence, UncommittedChange } from '../log.types.js';
import type { StoredAnswer } from './committer.types.js';
import { decide, PendingView, type Versions } from './pending-view.js';
import type { RecentKeys } from './recent-keys.js';
import type { OutcomeOperation, WriteOperation, WriteOutcome } from './write.js';
import type { Pending, WriteQueue } from './write-queue.js';

export interface BatchMember {
  pending: Pending;
  entry: BatchChange;
}

/** Decided from memory: true only if the statement under way finds the fence as it should be. */
export interface DecidedWithoutCommit {
  pending: Pending;
  answer: WriteOutcome | Problem;
}

/** Writes that were taken from the queue together and share the fate of one statement. */
export interface Batch {
  /** All of them in their order. */
  pendings: Pending[];
  members: BatchMember[];
  settled: DecidedWithoutCommit[];
  entries: BatchChange[];
  /** The fence that the statement carries. */
  fence: Fence;
  /** Where head stands once it is committed. */
  version: number;
  chain: string;
  sentAtMs: number;
}

type Decision =
  | { type: 'accepted'; created: boolean[] }
  | { type: 'settled'; answer: WriteOutcome | Problem };

/** Takes writes from the front of the queue and decides them in order, each seeing what those before it will do. */
export function formBatch(
  queue: WriteQueue,
  fence: Fence,
  memory: Versions,
  recent: RecentKeys,
  maxChanges: number,
  nowMs: number,
): Batch {
  const batch: Batch = {
    pendings: [],
    members: [],
    settled: [],
    entries: [],
    fence: { ...fence },
    version: fence.version,
    chain: fence.chain,
    sentAtMs: nowMs,
  };
  const overlay = new PendingView(memory);
  const keys = new Map<string, Pending>();
  let bytes = 0;
  let taken = 0;
  for (; batch.members.length < maxChanges; taken++) {
    const pending = queue.peek(taken);
    if (pending === undefined || pending.keyLookUp === 'wanted' || pending.keyLookUp === 'asked') break;
    if (taken > 0 && bytes + pending.bytes > LIMITS.batchBytes) break;
    bytes += pending.bytes;
    if (joins(pending, keys)) continue;
    const decision = decideOne(pending, overlay, recent, keys);
    if (decision.type === 'settled') {
      batch.settled.push({ pending, answer: decision.answer });
      continue;
    }
    const { idempotencyKey, operations } = pending.request;
    addMember(batch, pending, decision.created);
    overlay.change(operations, batch.version);
    if (idempotencyKey !== null) keys.set(idempotencyKey, pending);
  }
  batch.pendings = queue.dequeue(taken);
  return batch;
}

/** A repeat of a write that this batch has accepted waits for that one's answer. */
function joins(pending: Pending, accepted: ReadonlyMap<string, Pending>): boolean {
  const { idempotencyKey: key, requestHash } = pending.request;
  const same = key === null ? undefined : accepted.get(key);
  if (same === undefined || !sameRequest(same.request.requestHash, requestHash)) return false;
  same.waiters.push(...pending.waiters);
  pending.waiters = [];
  return true;
}

/** The key first, then what was found wrong with the write, then the conditions. */
function decideOne(
  pending: Pending,
  overlay: PendingView,
  recent: RecentKeys,
  batchKeys: ReadonlyMap<string, Pending>,
): Decision {
  const { idempotencyKey: key, requestHash, refusal, operations } = pending.request;
  if (key !== null) {
    const known = recent.get(key) ?? stored(pending);
    if (known !== undefined) {
      const same = sameRequest(known.requestHash, requestHash);
      return { type: 'settled', answer: same ? known.outcome : reused(key) };
    }
    if (batchKeys.has(key)) return { type: 'settled', answer: reused(key) };
  }
  if (refusal !== undefined) return { type: 'settled', answer: refusal };
  const created = decide(operations, overlay);
  if (created instanceof Problem) return { type: 'settled', answer: created };
  return { type: 'accepted', created };
}

/** What the database was found to remember of the key. */
function stored({ keyLookUp }: Pending) {
  if (typeof keyLookUp !== 'object') return undefined;
  return { requestHash: keyLookUp.requestHash, outcome: outcomeOf(keyLookUp) };
}

function addMember(batch: Batch, pending: Pending, created: boolean[]): void {
  const { request } = pending;
  const content = {
    version: batch.version + 1,
    term: batch.fence.term,
    kind: 'change' as const,
    author: request.author,
    comment: request.comment,
    operations: request.operations.map(withoutCondition),
  };
  const change: UncommittedChange = { ...content, chain: chainAfter(batch.chain, content) };
  const entry: BatchChange = {
    change,
    requestId: request.idempotencyKey,
    requestHash: request.requestHash,
    requestKind: request.kind,
    created,
  };
  batch.members.push({ pending, entry });
  batch.entries.push(entry);
  batch.version = change.version;
  batch.chain = change.chain;
}

/** The one change that says which versions the database lost, so that their numbers are not used twice. */
export function lostBatch(fence: Fence, lostTo: number, nowMs: number): Batch {
  const content = {
    // A number of its own: whoever stands at a lost one has seen what is not true any more.
    version: lostTo + 1,
    term: fence.term,
    kind: 'lost' as const,
    lost: { from: fence.version + 1, to: lostTo },
    author: null,
    comment: null,
    operations: [],
  };
  const change: UncommittedChange = { ...content, chain: chainAfter(fence.chain, content) };
  return {
    pendings: [],
    members: [],
    settled: [],
    entries: [{ change, requestId: null, requestHash: null, requestKind: null, created: [] }],
    fence: { ...fence },
    version: change.version,
    chain: change.chain,
    sentAtMs: nowMs,
  };
}

function outcomeOf(stored: StoredAnswer): WriteOutcome {
  const { version, term, createdAt, operations } = stored.change;
  return { version, term, createdAt, created: stored.created, operations };
}

export function sameRequest(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

function reused(key: string): Problem {
  return new Problem('idempotency-key-reused', `the key '${key}' stands for another request`);
}

function withoutCondition({ condition: _, ...operation }: WriteOperation) {
  return operation;
}

/** Operations without their values. */
export function outcomeOperations(operations: UncommittedChange['operations']): OutcomeOperation[] {
  return operations.map((operation) => {
    if (operation.op === 'delete') return operation;
    const { value: _, ...rest } = operation;
    return rest;
  });
}
