import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryBudget, withinShare } from './retry-budget.js';

describe('the retry budget', () => {
  it('of ten tokens allows retries after four failures, and none from the fifth on', () => {
    const budget = new RetryBudget();
    const allowed = Array.from({ length: 7 }, () => {
      budget.failed();
      return budget.allowsRetry;
    });
    expect(allowed).toEqual([true, true, true, true, false, false, false]);
  });

  it('of two tokens is open again after 31 successes: five of ten are not more than half', () => {
    const budget = new RetryBudget();
    for (let i = 0; i < 8; i++) budget.failed();
    let successes = 0;
    while (!budget.allowsRetry) {
      budget.succeeded();
      successes += 1;
    }
    expect(successes).toBe(31);
  });

  it('lets a tenth of the requests be repeated in the long run, and a few at first', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), (outcomes) => {
        const budget = new RetryBudget();
        let retries = 0;
        let successes = 0;
        for (const good of outcomes) {
          if (good) {
            budget.succeeded();
            successes += 1;
            continue;
          }
          budget.failed();
          if (!budget.allowsRetry) continue;
          retries += 1;
          budget.failed(); // the retry fails as well
        }
        expect(retries).toBeLessThanOrEqual(3 + successes * 0.05 + 0.001);
      }),
      { numRuns: 10_000 },
    );
  });
});

describe('a share of what is under way', () => {
  it.each([
    [0, 0, true],
    [2, 5, true],
    [3, 5, false],
    [3, 19, false],
    [3, 20, true],
    [19, 100, true],
    [20, 100, false],
  ])('with %d of %d: %s', (underWay, active, allowed) => {
    expect(withinShare(underWay, active)).toBe(allowed);
  });
});
