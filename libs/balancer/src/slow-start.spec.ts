import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPanic } from './panic.js';
import { rampsOf, slowStartFactor } from './slow-start.js';

describe('slow start', () => {
  it.each([
    [0, 1, 0.1],
    [15, 1, 0.25],
    [30, 1, 0.5],
    [60, 1, 1],
    [90, 1, 1],
    [1, 2, 0.129],
    [15, 2, 0.5],
  ])('after %d s of 60, with aggression %d, gives %f of the share', (seconds, aggression, factor) => {
    expect(slowStartFactor(seconds * 1_000, 60_000, aggression)).toBeCloseTo(factor, 3);
  });

  it('holds nobody back when all are new', () => {
    expect(rampsOf([0, 0, 0], 60_000)).toEqual([1_000, 1_000, 1_000]);
    expect(rampsOf([90_000, 15_000], 60_000)).toEqual([1_000, 250]);
    expect(rampsOf([15_000, 30_000], 60_000)).toEqual([500, 1_000]);
    expect(rampsOf([0, 90_000], 0)).toEqual([1_000, 1_000]); // switched off
  });

  it('never gives less to who has been there longer, and always somebody all', () => {
    const times = fc.array(fc.nat(200_000), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(times, fc.nat(100_000), (usableForMs, windowMs) => {
        const sorted = usableForMs.toSorted((a, b) => a - b);
        const ramps = rampsOf(sorted, windowMs);
        expect(ramps).toEqual(ramps.toSorted((a, b) => a - b));
        expect(ramps.at(-1)).toBe(1_000);
        expect(Math.min(...ramps)).toBeGreaterThanOrEqual(100);
      }),
      { numRuns: 10_000 },
    );
  });
});

describe('panic', () => {
  it.each([
    [3, 3, false],
    [2, 4, false],
    [1, 2, false],
    [1, 3, true],
    [2, 5, true],
    [0, 1, true],
    [0, 0, false],
  ])('with %d of %d usable: %s', (usable, all, panic) => {
    expect(isPanic(usable, all)).toBe(panic);
  });
});
