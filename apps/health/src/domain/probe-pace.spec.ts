import { describe, expect, it } from 'vitest';
import { seededRng } from '#libs/kernel';
import { nextProbe, type ProbePace } from './probe-pace.js';

const pace: ProbePace = {
  everyMs: 1_000,
  fastEveryMs: 250,
  downEveryMs: 2_000,
  timeoutMs: 800,
  fastTimeoutMs: 500,
  jitter: 0.1,
  maxRetryAfterMs: 10_000,
};
const rngOf = (value: number) => ({ next: () => value, int: () => 0 });

describe('nextProbe', () => {
  it.each([
    ['up', 1_000, 800],
    ['moving', 250, 500],
    ['down', 2_000, 500],
  ] as const)('%s: every %i ms, %i ms to answer', (phase, afterMs, timeoutMs) => {
    expect(nextProbe(phase, pace, rngOf(0.5))).toEqual({ afterMs, timeoutMs });
  });

  it('is spread by a tenth to either side', () => {
    expect(nextProbe('up', pace, rngOf(0)).afterMs).toBe(900);
    expect(nextProbe('up', pace, rngOf(0.999_999)).afterMs).toBeCloseTo(1_100, 0);
    const rng = seededRng(7);
    const waits = Array.from({ length: 1_000 }, () => nextProbe('up', pace, rng).afterMs);
    const mean = waits.reduce((total, ms) => total + ms, 0) / waits.length;
    expect(Math.abs(mean - 1_000)).toBeLessThan(10);
  });

  it('waits as long as the node asks, within reason', () => {
    expect(nextProbe('moving', pace, rngOf(0.5), 3_000).afterMs).toBe(3_000);
    expect(nextProbe('moving', pace, rngOf(0.5), 100).afterMs).toBe(250);
    expect(nextProbe('up', pace, rngOf(0.5), 86_400_000).afterMs).toBe(10_000);
  });
});
