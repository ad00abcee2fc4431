import type { Metrics } from '#libs/observability';
import { HELD_BACK, type HeldBack } from '../domain/retention.js';

export class CompactorMetrics {
  readonly removed;
  readonly floor;
  readonly finished;
  private readonly held;

  constructor(metrics: Metrics) {
    this.removed = metrics.counter(
      'compaction_removed_operations_total',
      'Old operations removed from the log',
    );
    this.floor = metrics.gauge(
      'compaction_floor_version',
      'Leaders: the first version from which the log is whole, as of the last walk',
    );
    this.finished = metrics.gauge(
      'compaction_finished_timestamp_seconds',
      'Leaders: when the log was last walked through',
    );
    this.held = metrics.gauge('compaction_held_back', '1 for what keeps old history from being removed', [
      'reason',
    ]);
  }

  /** Undefined: this node removes nothing, as it does not lead. */
  heldBack(reason: HeldBack | undefined): void {
    for (const each of HELD_BACK) this.held.set({ reason: each }, each === reason ? 1 : 0);
  }
}
