import { describe, expect, it } from 'vitest';
import { seededRng } from '#libs/kernel';
import { decideRestart } from './restart-policy.js';

const always = (value: number) => ({ next: () => value, int: () => 0 });

describe('decideRestart', () => {
  it('starts again within 200 ms after a first crash', () => {
    expect(decideRestart(0, 1_000, always(0))).toEqual({ failures: 1, delayMs: 100 });
    expect(decideRestart(0, 1_000, always(0.999)).delayMs).toBeLessThanOrEqual(200);
  });

  it('doubles its patience with a process that keeps crashing, up to 10 s', () => {
    let failures = 0;
    const delays: number[] = [];
    for (let crash = 0; crash < 8; crash++) {
      const decision = decideRestart(failures, 500, always(1));
      failures = decision.failures;
      delays.push(decision.delayMs);
    }
    expect(delays).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
  });

  it('forgives after a stable run', () => {
    expect(decideRestart(7, 30_000, seededRng(1)).failures).toBe(1);
    expect(decideRestart(7, 29_999, seededRng(1)).failures).toBe(8);
  });
});
