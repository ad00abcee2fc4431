import { describe, expect, it } from 'vitest';
import { HeadTimes } from './head-times.js';
import { lagStateAfter } from './lag-state.js';

const LIMITS = {
  behindAfterMs: 1_000,
  enter: { versions: 500, ms: 5_000 },
  leave: { versions: 10, ms: 1_000 },
};

describe('lagStateAfter', () => {
  it.each([
    ['level', 0, 0, 'level'],
    ['level', 400, 999, 'level'],
    ['level', 1, 1_000, 'behind'],
    ['behind', 500, 1_000, 'lagging'],
    ['behind', 1, 5_000, 'lagging'],
    ['lagging', 499, 4_999, 'lagging'],
    ['lagging', 11, 0, 'lagging'],
    ['lagging', 10, 1_001, 'lagging'],
    ['lagging', 10, 500, 'level'],
    ['lagging', 10, 1_000, 'behind'],
    ['behind', 0, 0, 'level'],
  ] as const)('%s, %i versions for %i ms', (from, versions, ms, to) => {
    expect(lagStateAfter(from, { versions, ms }, LIMITS)).toBe(to);
  });
});

describe('HeadTimes', () => {
  it('knows since when a version is not the head any more', () => {
    const times = new HeadTimes();
    for (const [version, atMs] of [
      [10, 0],
      [20, 1_000],
      [20, 2_000],
      [30, 3_000],
    ] as const)
      times.note(version, atMs);
    expect([5, 10, 19, 20, 30].map((version) => times.passedAtMs(version))).toEqual([
      0,
      1_000,
      1_000,
      3_000,
      undefined,
    ]);
  });

  it('forgets what a head that went back has lost', () => {
    const times = new HeadTimes();
    times.note(10, 0);
    times.note(20, 1_000);
    times.note(15, 2_000);
    expect([12, 16].map((version) => times.passedAtMs(version))).toEqual([2_000, undefined]);
  });
});
