import { describe, expect, it } from 'vitest';
import { backoffCeilingMs, fullJitterMs } from './backoff.js';
import { seededRng } from './rng.js';

describe('backoff', () => {
  it('doubles up to its cap (Kubernetes CrashLoopBackOff: base 10, cap 300)', () => {
    const policy = { baseMs: 10, capMs: 300 };
    expect([0, 1, 2, 3, 4, 5, 6].map((n) => backoffCeilingMs(policy, n))).toEqual([
      10, 20, 40, 80, 160, 300, 300,
    ]);
  });

  it('never overflows and stays under its ceiling', () => {
    const policy = { baseMs: 10, capMs: 300 };
    const rng = seededRng(1);
    for (let attempt = 0; attempt < 5_000; attempt++) {
      const wait = fullJitterMs(policy, attempt, rng);
      expect(wait).toBeGreaterThanOrEqual(0);
      expect(wait).toBeLessThan(backoffCeilingMs(policy, attempt) + 1e-9);
    }
  });
});
