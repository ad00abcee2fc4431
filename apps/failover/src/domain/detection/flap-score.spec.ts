import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  charge,
  type FlapScore,
  type FlapSettings,
  isForgotten,
  NO_FLAPS,
  quarantineMs,
  reuseAfterMs,
  scoreAt,
} from './flap-score.js';

const MINUTE = 60_000;
const BGP: FlapSettings = {
  perFlap: 1_000,
  steadyMs: 4_000,
  halfLifeMs: 15 * MINUTE,
  suppressAt: 2_000,
  reuseAt: 750,
  maxQuarantineMs: 60 * MINUTE,
};
const flaps = (...minutes: number[]): FlapScore =>
  minutes.reduce((score, minute) => charge(score, minute * MINUTE, 0, BGP), NO_FLAPS);

describe('the flap score', () => {
  it.each([
    [0, 4_000],
    [15, 2_000],
    [30, 1_000],
    [45, 500],
  ])('of 4000 is after %d minutes %d', (minutes, expected) => {
    expect(scoreAt({ value: 4_000, atMs: 0 }, minutes * MINUTE, BGP)).toBeCloseTo(expected, 6);
  });

  it('of 4000 falls to the reuse limit after 36.23 minutes', () => {
    expect(reuseAfterMs(4_000, BGP) / MINUTE).toBeCloseTo(36.23, 2);
  });

  it('of flaps at 0, 1 and 2 minutes is 2867, usable again 29.0 minutes after the third', () => {
    const score = flaps(0, 1, 2);
    expect(Math.round(score.value)).toBe(2_867);
    expect(reuseAfterMs(score.value, BGP) / MINUTE).toBeCloseTo(29.0, 1);
    expect(quarantineMs(score, 1, BGP) / MINUTE).toBeCloseTo(29.0, 1);
  });

  it('reaches the limit with the third flap of a node that is killed every few seconds', () => {
    expect(flaps(0, 0.1).value).toBeLessThan(BGP.suppressAt);
    expect(flaps(0, 0.1, 0.2).value).toBeGreaterThan(BGP.suppressAt);
  });

  it('hardly rises for a node that had been well for a while', () => {
    const after = (wellForMs: number) => charge(NO_FLAPS, 0, wellForMs, BGP).value;
    expect([0, 4_000, 4_001, Number.POSITIVE_INFINITY].map(after)).toEqual([1_000, 1_000, 100, 100]);
    // A leader that is killed every ten seconds, as chaos tests do, and is well in between.
    let score = NO_FLAPS;
    for (let n = 0; n < 20; n++) score = charge(score, n * 10_000, 6_000, BGP);
    expect(score.value).toBeLessThan(BGP.suppressAt);
  });

  it('is forgotten under half of the reuse limit', () => {
    const score = flaps(0);
    expect(isForgotten(score, 21 * MINUTE, BGP)).toBe(false);
    expect(isForgotten(score, 22 * MINUTE, BGP)).toBe(true);
    expect(isForgotten(NO_FLAPS, 0, BGP)).toBe(true);
  });

  it('makes each further quarantine longer, up to the longest', () => {
    const score = flaps(0, 1, 2);
    const minutes = [1, 2, 3].map((n) => quarantineMs(score, n, BGP) / MINUTE);
    expect(minutes.map(Math.round)).toEqual([29, 58, 60]);
  });

  it('keeps every quarantine within the longest, however often a node flaps', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 * MINUTE }), { maxLength: 60 }), (gapsMs) => {
        let nowMs = 0;
        let score = NO_FLAPS;
        for (const gapMs of gapsMs) {
          nowMs += gapMs;
          const before = scoreAt(score, nowMs, BGP);
          score = charge(score, nowMs, 0, BGP);
          expect(score.value).toBeGreaterThanOrEqual(Math.min(before, 12_000) - 1e-6);
        }
        expect(reuseAfterMs(score.value, BGP)).toBeLessThanOrEqual(BGP.maxQuarantineMs);
      }),
      { numRuns: 10_000 },
    );
  });
});
