/** How long a delay of our own counts. */
const REMEMBERED_MS = 5_000;
/** A process that shares the machine may have been delayed several times in a row while we were delayed once. */
const FACTOR = 3;

/**
 * How much more time a witness gives to others because it was delayed itself: three times the longest delay of its own
 * timer or of its own writes in the last 5 s, at most `maxMs`. On an idle machine that is some milliseconds; on one whose
 * processors are overcommitted, everybody who shares them is late for the same reason.
 *
 * The idea is the local health multiplier of Lifeguard (Dadgar, Phillips, Currey: "Lifeguard: Local Health Awareness for
 * More Accurate Failure Detection", 2018).
 */
export class OwnDelay {
  private longest = { delayMs: 0, atMs: Number.NEGATIVE_INFINITY };

  constructor(private readonly maxMs: number) {}

  note(delayMs: number, nowMs: number): void {
    const expired = nowMs - this.longest.atMs > REMEMBERED_MS;
    if (expired || delayMs >= this.longest.delayMs) this.longest = { delayMs, atMs: nowMs };
  }

  allowanceMs(nowMs: number): number {
    if (nowMs - this.longest.atMs > REMEMBERED_MS) return 0;
    return Math.min(this.maxMs, FACTOR * this.longest.delayMs);
  }
}
