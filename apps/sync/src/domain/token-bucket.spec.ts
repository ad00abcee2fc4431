import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from './token-bucket.js';

describe('TokenBucket', () => {
  it('lets a burst pass, then as many as the rate allows', () => {
    const bucket = new TokenBucket(1_000, 500);
    expect([500, 100, 400].map((count) => bucket.withdraw(count, 0))).toEqual([0, 100, 500]);
    expect(bucket.withdraw(100, 600)).toBe(0);
    expect(bucket.withdraw(500, 10_000)).toBe(0);
    expect(bucket.withdraw(1, 10_000)).toBe(1);
  });

  it('has no bound without a rate', () => {
    expect(new TokenBucket(Number.POSITIVE_INFINITY, 1).withdraw(1e9, 0)).toBe(0);
  });

  it('never lets through more than burst and rate allow', () => {
    const takes = fc.array(fc.tuple(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 0, max: 500 })));
    fc.assert(
      fc.property(takes, (requests) => {
        const bucket = new TokenBucket(1_000, 500);
        let nowMs = 0;
        let taken = 0;
        for (const [count, idleMs] of requests) {
          nowMs += idleMs;
          nowMs += bucket.withdraw(count, nowMs);
          taken += count;
          expect(taken).toBeLessThanOrEqual(500 + nowMs + 1e-6);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
