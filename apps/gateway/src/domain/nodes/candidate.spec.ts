import { describe, expect, it } from 'vitest';
import { weightIn } from './candidate.js';

describe('the weight in the metadata', () => {
  it.each([
    [undefined, 1, null],
    ['1', 1, null],
    ['42', 42, null],
    ['100', 100, null],
    ['0', 1, '0'],
    ['101', 1, '101'],
    ['-5', 1, '-5'],
    ['2.5', 1, '2.5'],
    ['1e1', 1, '1e1'],
    [' 3', 1, ' 3'],
    ['', 1, ''],
  ])('%j is %d', (given, weight, fault) => {
    expect(weightIn(given === undefined ? {} : { weight: given })).toEqual({ weight, fault });
  });
});
