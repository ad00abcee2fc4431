import type { WriteOutcome } from './write.js';

interface Recent {
  requestHash: Buffer | null;
  outcome: WriteOutcome;
  atMs: number;
}

/** The idempotency keys committed last, bounded in age and number. Older ones stand in the database. */
export class RecentKeys {
  private readonly keys = new Map<string, Recent>();

  constructor(private readonly bounds: { ageMs: number; count: number }) {}

  add(key: string, requestHash: Buffer | null, outcome: WriteOutcome, nowMs: number): void {
    this.keys.delete(key);
    this.keys.set(key, { requestHash, outcome, atMs: nowMs });
    for (const [oldest, { atMs }] of this.keys) {
      if (this.keys.size <= this.bounds.count && nowMs - atMs <= this.bounds.ageMs) break;
      this.keys.delete(oldest);
    }
  }

  get(key: string): Recent | undefined {
    return this.keys.get(key);
  }

  has(key: string): boolean {
    return this.keys.has(key);
  }

  clear(): void {
    this.keys.clear();
  }
}
