import type { LagState } from '#libs/contracts';
import { type BatchBounds, BatchSize } from './batch-size.js';
import type { HeadTimes } from './head-times.js';
import type { ReportedPosition } from './history-check.js';
import { type Lag, type LagLimits, lagStateAfter } from './lag-state.js';

const NEVER = Number.NEGATIVE_INFINITY;

/** One incarnation of a node: where it stands, and how it takes what it is given. */
export class TrackedNode {
  state: LagState = 'level';
  readonly batch: BatchSize;
  /** Position that the log does not have: nothing is pushed until the node stands elsewhere. */
  diverged: ReportedPosition | undefined;
  failures = 0;
  notBeforeMs = NEVER;
  loadNotBeforeMs = NEVER;
  /** The log begins after its position: only a whole state helps. */
  isBelowLog = false;
  servedAtMs = NEVER;
  toldAtMs = NEVER;
  laggingSinceMs: number | undefined;
  private behindSinceMs: number | undefined;

  constructor(
    readonly incarnation: number,
    public position: ReportedPosition,
    bounds: BatchBounds,
  ) {
    this.batch = new BatchSize(bounds);
  }

  get version(): number {
    return this.position.version;
  }

  /** What the node says of itself, later than what it said before. */
  stands(position: ReportedPosition, head: HeadTimes, nowMs: number): void {
    const isSame =
      position.version === this.version &&
      (position.chain === undefined ||
        this.position.chain === undefined ||
        position.chain === this.position.chain);
    if (isSame) this.position.chain ??= position.chain;
    else this.position = { ...position };
    if (!isSame) {
      if (this.diverged !== undefined) this.notBeforeMs = NEVER; // healed: it need not wait any longer
      this.diverged = undefined;
      this.isBelowLog = false;
      this.behindSinceMs = undefined;
    }
    this.compare(head, nowMs);
  }

  compare(head: HeadTimes, nowMs: number): void {
    const passedAtMs = head.passedAtMs(this.version);
    if (passedAtMs === undefined) this.behindSinceMs = undefined;
    else this.behindSinceMs ??= Math.min(passedAtMs, nowMs);
  }

  lag(headVersion: number, nowMs: number): Lag {
    const { behindSinceMs } = this;
    return {
      versions: Math.max(0, headVersion - this.version),
      ms: behindSinceMs === undefined ? 0 : Math.max(0, nowMs - behindSinceMs),
    };
  }

  /** The state that it leaves, when it does. */
  enterState(lag: Lag, limits: LagLimits, nowMs: number): LagState | undefined {
    const from = this.state;
    this.state = lagStateAfter(from, lag, limits);
    if (this.state === from) return undefined;
    if (this.state === 'lagging') this.laggingSinceMs = nowMs;
    return from;
  }
}
