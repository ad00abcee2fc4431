import type { StoredAnswer } from './committer.types.js';
import { sizeOf, type WriteRequest } from './write.js';

/** Somebody who waits for a write's answer. */
export interface Waiter {
  ticket: number;
  deadlineMs: number;
}

/**
 * What the database's index says of a write's idempotency key: `unasked` = not needed so far, `wanted` = to be asked,
 * `asked` = under way, `absent` = nobody used it, else the change that it led to.
 */
export type KeyLookUp = 'unasked' | 'wanted' | 'asked' | 'absent' | StoredAnswer;

/** One write with all who wait for it: repeats with the same key join. */
export interface Pending {
  request: WriteRequest;
  bytes: number;
  waiters: Waiter[];
  keyLookUp: KeyLookUp;
}

export interface QueueBounds {
  writes: number;
  bytes: number;
}

/** Writes in the order in which they came, bounded in number and bytes. */
export class WriteQueue {
  private items: Pending[] = [];
  private readonly byKey = new Map<string, Pending>();
  private queuedBytes = 0;

  constructor(private readonly bounds: QueueBounds) {}

  get length(): number {
    return this.items.length;
  }
  get bytes(): number {
    return this.queuedBytes;
  }

  /** @param stretch how many times the bounds may be used: a repeat must not be refused before its key is looked up */
  hasRoomFor(bytes: number, stretch: number): boolean {
    if (this.items.length >= this.bounds.writes * stretch) return false;
    return this.items.length === 0 || this.queuedBytes + bytes <= this.bounds.bytes * stretch;
  }

  withKey(key: string): Pending | undefined {
    return this.byKey.get(key);
  }

  push(pending: Pending): void {
    this.items.push(pending);
    this.account(pending);
  }

  /** Puts writes that were taken back where they came from, in their order. */
  unshift(pendings: readonly Pending[]): void {
    const alive = pendings.filter((pending) => pending.waiters.length > 0);
    this.items = [...alive, ...this.items];
    for (const pending of alive) this.account(pending);
  }

  peek(index: number): Pending | undefined {
    return this.items[index];
  }

  /** Removes the first `count`. */
  dequeue(count: number): Pending[] {
    const taken = this.items.slice(0, count);
    this.items = this.items.slice(count);
    for (const pending of taken) this.forget(pending);
    return taken;
  }

  /** Removes every write that passes. */
  remove(passes: (pending: Pending) => boolean): Pending[] {
    if (this.items.length === 0) return [];
    const removed = this.items.filter(passes);
    if (removed.length === 0) return removed;
    const gone = new Set(removed);
    this.items = this.items.filter((pending) => !gone.has(pending));
    for (const pending of removed) this.forget(pending);
    return removed;
  }

  /** Removes waiters that pass, and the writes for which nobody waits any more. */
  removeWaiters(passes: (waiter: Waiter) => boolean): Waiter[] {
    const removed: Waiter[] = [];
    let emptied = false;
    for (const pending of this.items) {
      if (!pending.waiters.some(passes)) continue;
      removed.push(...pending.waiters.filter(passes));
      pending.waiters = pending.waiters.filter((waiter) => !passes(waiter));
      emptied ||= pending.waiters.length === 0;
    }
    if (emptied) this.remove((pending) => pending.waiters.length === 0);
    return removed;
  }

  private account(pending: Pending): void {
    this.queuedBytes += pending.bytes;
    const key = pending.request.idempotencyKey;
    if (key !== null && !this.byKey.has(key)) this.byKey.set(key, pending);
  }

  private forget(pending: Pending): void {
    this.queuedBytes -= pending.bytes;
    const key = pending.request.idempotencyKey;
    if (key !== null && this.byKey.get(key) === pending) this.byKey.delete(key);
  }
}

export function newPending(request: WriteRequest, ticket: number): Pending {
  return {
    request,
    bytes: sizeOf(request),
    waiters: [{ ticket, deadlineMs: request.deadlineMs }],
    keyLookUp: 'unasked',
  };
}
