const FIRST_MS = 0.1;
/** Each bucket ends a tenth above the last: a quantile is at most so much too high. */
const STEP = 1.1;
const BUCKETS = 140; // to a minute
const HALVE_AT = 4_096;
const LN_STEP = Math.log(STEP);

/** A quantile of latest latencies in constant memory: a histogram of growing steps, halved again and again to forget. */
export class LatencyQuantile {
  private readonly counts = new Uint32Array(BUCKETS);
  private total = 0;

  get samples(): number {
    return this.total;
  }

  record(ms: number): void {
    const bucket = ms <= FIRST_MS ? 0 : Math.ceil(Math.log(ms / FIRST_MS) / LN_STEP);
    const index = Math.min(BUCKETS - 1, bucket);
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.total += 1;
    if (this.total >= HALVE_AT) this.halve();
  }

  /** Milliseconds, rounded up to the end of a step; undefined before the first sample. */
  quantile(q: number): number | undefined {
    if (this.total === 0) return undefined;
    let below = 0;
    for (const [index, count] of this.counts.entries()) {
      below += count;
      if (below >= q * this.total && count > 0) return FIRST_MS * STEP ** index;
    }
    return FIRST_MS * STEP ** BUCKETS;
  }

  private halve(): void {
    this.total = 0;
    for (const [index, count] of this.counts.entries()) {
      this.counts[index] = count >>> 1;
      this.total += count >>> 1;
    }
  }
}
