import type { HeadRow } from '../../domain/log.types.js';
import { fromStorage } from '../../history/storage-problem.js';
import type { StoredHistory } from '../../history/stored-history.js';

/** Barriers under way at once: more would only take connections from the leader. */
const AT_ONCE = 2;

/**
 * Where the history stood after a read arrived, proved by a statement that must commit as a write would. Reads that
 * arrive before a barrier is sent share it; those that arrive later wait for the next.
 */
export class LinearizableReads {
  private gathering: Promise<HeadRow> | undefined;
  private underWay = 0;
  private turn: (() => void) | undefined;

  constructor(private readonly store: Pick<StoredHistory, 'barrier'>) {}

  head(): Promise<HeadRow> {
    this.gathering ??= this.gather();
    return this.gathering;
  }

  private async gather(): Promise<HeadRow> {
    if (this.underWay >= AT_ONCE) {
      await new Promise<void>((resolve) => {
        this.turn = resolve;
      });
    } else {
      // Whoever is in the same turn of the event loop may still join.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.gathering = undefined;
    this.underWay += 1;
    try {
      return await fromStorage(this.store.barrier());
    } finally {
      this.underWay -= 1;
      const { turn } = this;
      this.turn = undefined;
      turn?.();
    }
  }
}
