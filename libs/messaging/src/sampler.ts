import type { Clock, Rng } from '#libs/kernel';

const WINDOW_MS = 1_000;

/**
 * Admits about `perSecond` of a stream of messages, and all of a slower one. Of a faster one each has the same chance,
 * by how many came in the second before: senders that keep a rhythm would else be admitted always or never.
 */
export class Sampler {
  private windowBeganMs: number;
  private inWindow = 0;
  private chance = 1;

  constructor(
    private readonly perSecond: number,
    private readonly clock: Pick<Clock, 'monotonicMs'>,
    private readonly rng: Rng,
  ) {
    this.windowBeganMs = clock.monotonicMs();
  }

  admits(): boolean {
    const elapsedMs = this.clock.monotonicMs() - this.windowBeganMs;
    if (elapsedMs >= WINDOW_MS) {
      const perSecond = (this.inWindow * 1_000) / elapsedMs;
      this.chance = Math.min(1, this.perSecond / Math.max(perSecond, 1));
      this.windowBeganMs += elapsedMs;
      this.inWindow = 0;
    }
    this.inWindow += 1;
    // Also in the first second of a flood.
    const chance = Math.min(this.chance, this.perSecond / this.inWindow);
    return chance >= 1 || this.rng.next() < chance;
  }
}
