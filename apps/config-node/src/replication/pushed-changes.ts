import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Change, Problem, type SyncReply } from '#libs/contracts';
import type { Replication } from './replication.js';

/** Applying so many holds up a read by some 2 ms. */
const SLICE_CHANGES = 100;

/** Takes what the sync service pushes: one batch at a time, in slices, so that reads go on meanwhile. */
export class PushedChanges {
  private isTaking = false;

  constructor(private readonly replication: Pick<Replication, 'receive' | 'isLoading'>) {}

  /** Throws `cluster-busy`: whoever pushes is to come again later, with less. */
  refuseIfBusy(): void {
    if (this.isTaking) throw new Problem('cluster-busy', 'this node is taking another batch');
    if (this.replication.isLoading) throw new Problem('cluster-busy', 'this node is loading a whole state');
  }

  async accept(changes: readonly Change[]): Promise<SyncReply> {
    this.refuseIfBusy();
    this.isTaking = true;
    try {
      let reply = this.replication.receive([]);
      for (let from = 0; from < changes.length; from += SLICE_CHANGES) {
        if (from > 0) await nextTurn();
        const slice = changes.slice(from, from + SLICE_CHANGES);
        reply = this.replication.receive(slice);
        // It was not taken to its end: what follows would not be either.
        if (reply.version < (slice.at(-1)?.version ?? 0)) break;
      }
      return reply;
    } finally {
      this.isTaking = false;
    }
  }
}
