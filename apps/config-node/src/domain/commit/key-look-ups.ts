import { invariant } from '#libs/kernel';
import type { CommitterAction, StoredAnswer } from './committer.types.js';
import type { Pending } from './write-queue.js';

const KEYS_AT_ONCE = 256;

/**
 * Asks the database's index for idempotency keys that may have been used before, one statement at a time, while
 * batches go on. An answer stays right for the whole term: what is committed in between is in memory.
 */
export class KeyLookUps {
  private wanting: Pending[] = [];
  private underWay: { id: number; asked: Pending[] } | undefined;
  private count = 0;

  want(pending: Pending): void {
    pending.keyLookUp = 'wanted';
    this.wanting.push(pending);
  }

  /** The next statement, unless one is under way or nothing is wanted. */
  begin(): CommitterAction | undefined {
    if (this.underWay !== undefined || this.wanting.length === 0) return undefined;
    const asked = this.wanting.slice(0, KEYS_AT_ONCE);
    this.wanting = this.wanting.slice(KEYS_AT_ONCE);
    for (const pending of asked) pending.keyLookUp = 'asked';
    this.underWay = { id: ++this.count, asked };
    return { type: 'look-up', id: this.count, keys: [...new Set(asked.map(keyOf))] };
  }

  /** Takes the answer (undefined = it failed) and returns the writes that waited for it. */
  end(id: number, found: ReadonlyMap<string, StoredAnswer> | undefined): Pending[] {
    if (id !== this.underWay?.id) return []; // of an earlier term
    const { asked } = this.underWay;
    this.underWay = undefined;
    if (found !== undefined) {
      for (const pending of asked) pending.keyLookUp = found.get(keyOf(pending)) ?? 'absent';
    }
    return asked;
  }

  clear(): void {
    this.wanting = [];
    this.underWay = undefined;
  }
}

function keyOf({ request }: Pending): string {
  invariant(request.idempotencyKey !== null, 'a request without an idempotency key was to be looked up');
  return request.idempotencyKey;
}
