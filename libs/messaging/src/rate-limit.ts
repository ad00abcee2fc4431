import type { Clock } from '#libs/kernel';

/** Says yes to a key at most once per interval, so that a flood of bad messages does not become a flood of log lines. */
export class RateLimit {
  private readonly lastMs = new Map<string, number>();
  private readonly suppressed = new Map<string, number>();

  constructor(
    private readonly intervalMs: number,
    private readonly clock: Clock,
    private readonly maxKeys = 1_000,
  ) {}

  /** How many were suppressed since the last yes; undefined = not now. */
  admit(key: string): { suppressed: number } | undefined {
    const now = this.clock.monotonicMs();
    const last = this.lastMs.get(key);
    if (last !== undefined && now - last < this.intervalMs) {
      this.suppressed.set(key, (this.suppressed.get(key) ?? 0) + 1);
      return undefined;
    }
    if (this.lastMs.size >= this.maxKeys) {
      this.lastMs.clear();
      this.suppressed.clear();
    }
    const suppressed = this.suppressed.get(key) ?? 0;
    this.lastMs.set(key, now);
    this.suppressed.delete(key);
    return { suppressed };
  }
}
