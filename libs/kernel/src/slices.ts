import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemClock } from './clock.js';

/** How long one piece of work may keep the event loop before others get a turn. */
const SLICE_MS = 4;

/**
 * Work of many small steps that gives way to everything else on the event loop every few milliseconds: a step is done,
 * then `giveWay` is awaited. A step itself is not interrupted.
 */
export class Slices {
  private begunMs: number;

  constructor(private readonly monotonicMs: () => number = () => systemClock.monotonicMs()) {
    this.begunMs = monotonicMs();
  }

  /** Whether this slice has lasted long enough: lets a loop of cheap steps go without a promise for each. */
  get isOver(): boolean {
    return this.monotonicMs() - this.begunMs >= SLICE_MS;
  }

  /** Resolves at once while the slice lasts, else when the event loop has been around. */
  async giveWay(): Promise<void> {
    if (!this.isOver) return;
    await nextTurn();
    this.begunMs = this.monotonicMs();
  }
}
