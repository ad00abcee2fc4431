import { describe, expect, it } from 'vitest';
import { judgeAnswer, judgePage, judgePosition } from './history-check.js';

const point = (version: number, chain = `c${version}`) => ({ version, chain });

describe('judgePosition', () => {
  it.each([
    ['the beginning', point(0, 'any'), point(1), 'in-log'],
    ['the same change', point(7), point(7), 'in-log'],
    ['a version without a chain', { version: 7, chain: undefined }, point(7), 'in-log'],
    ['another change', point(7, 'x'), point(7), 'diverged'],
    ['one that the database lost', point(7), { ...point(9), lost: { from: 6, to: 8 } }, 'diverged'],
    ['below the floor', point(7), point(9), 'compacted'],
    [
      'below the floor, which is a lost tail',
      point(7),
      { ...point(12), lost: { from: 9, to: 11 } },
      'compacted',
    ],
    ['beyond the end', point(7), undefined, 'unknown'],
  ] as const)('%s', (_what, position, logged, verdict) => {
    expect(judgePosition(position, logged)).toBe(verdict);
  });
});

describe('judgeAnswer', () => {
  const pushed = [point(8), point(9), point(10)];
  it.each([
    ['all of it', point(10), 'known'],
    ['a part of it', point(8), 'known'],
    ['a version of it, of another history', point(9, 'x'), 'diverged'],
    ['nothing', point(7), 'stuck'],
    ['the same version of another history', point(7, 'x'), 'elsewhere'],
    ['further on by itself', point(12), 'elsewhere'],
    ['back', point(3), 'elsewhere'],
  ] as const)('%s', (_what, answer, verdict) => {
    expect(judgeAnswer(point(7), pushed, answer)).toBe(verdict);
  });
});

describe('judgePage', () => {
  it.each([
    ['the next change', 7, [point(8)], 'continues'],
    ['a lost tail', 7, [{ ...point(12), lost: { from: 8, to: 11 } }], 'continues'],
    ['nothing', 7, [], 'empty'],
    ['a hole', 7, [point(9)], 'compacted'],
  ] as const)('%s', (_what, after, page, verdict) => {
    expect(judgePage(after, page)).toBe(verdict);
  });
});
