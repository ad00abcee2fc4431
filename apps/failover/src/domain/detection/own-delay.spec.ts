import { describe, expect, it } from 'vitest';
import { OwnDelay } from './own-delay.js';

describe('report 11: the allowance for delays of our own', () => {
  it.each<[string, [delayMs: number, atMs: number][], nowMs: number, allowanceMs: number]>([
    ['nothing was delayed', [], 100, 0],
    [
      'an idle machine',
      [
        [3, 100],
        [1, 200],
      ],
      300,
      9,
    ],
    [
      'the longest of several counts',
      [
        [3, 100],
        [150, 200],
        [20, 300],
      ],
      400,
      450,
    ],
    ['a delay is forgotten after 5 s', [[150, 200]], 5_201, 0],
    [
      'a shorter one takes the place of a forgotten one',
      [
        [150, 200],
        [20, 5_300],
      ],
      5_400,
      60,
    ],
    ['never more than the bound', [[900, 100]], 200, 2_000],
  ])('%s', (_what, delays, nowMs, allowanceMs) => {
    const delay = new OwnDelay(2_000);
    for (const [delayMs, atMs] of delays) delay.note(delayMs, atMs);
    expect(delay.allowanceMs(nowMs)).toBe(allowanceMs);
  });
});
