/**
 * A bound on a rate, with room for a burst (token bucket, Turner 1986). Whoever takes more than there is goes into debt
 * and waits until it is paid, so that a batch larger than the burst passes too.
 */
export class TokenBucket {
  private tokens: number;
  private atMs: number | undefined;

  /** @param perSecond Infinity = no bound */
  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
  ) {
    this.tokens = burst;
  }

  /** Takes `count`; how many milliseconds to wait before they may be used. */
  withdraw(count: number, nowMs: number): number {
    if (this.perSecond === Number.POSITIVE_INFINITY) return 0;
    const passedMs = Math.max(0, nowMs - (this.atMs ?? nowMs));
    this.atMs = nowMs;
    this.tokens = Math.min(this.burst, this.tokens + (passedMs * this.perSecond) / 1_000) - count;
    return this.tokens >= 0 ? 0 : (-this.tokens * 1_000) / this.perSecond;
  }
}
