import type { WriteOutcome } from './write.js';

interface Recent {
  requestHash: Buffer | null;
  outcome: WriteOutcome;
  atMs: number;
}

/** The idempotency keys committed last, bounded in age and size. Older ones stand in the database. */
export class RecentKeys {
  private readonly keys = new Map<string, Recent>();
  private held = 0;

  /** @param bounds.operations of all their changes together: a change set may have a thousand */
  constructor(private readonly bounds: { ageMs: number; operations: number }) {}

  add(key: string, requestHash: Buffer | null, outcome: WriteOutcome, nowMs: number): void {
    this.drop(key);
    this.keys.set(key, { requestHash, outcome, atMs: nowMs });
    this.held += outcome.operations.length;
    for (const [oldest, { atMs }] of this.keys) {
      if (this.held <= this.bounds.operations && nowMs - atMs <= this.bounds.ageMs) break;
      this.drop(oldest);
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
    this.held = 0;
  }

  private drop(key: string): void {
    this.held -= this.keys.get(key)?.outcome.operations.length ?? 0;
    this.keys.delete(key);
  }
}
