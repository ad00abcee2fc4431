import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchSize } from './batch-size.js';

const BOUNDS = { first: 250, most: 1_000, growBy: 50 };

describe('BatchSize', () => {
  it('grows by a step for every full batch, and halves when one is refused', () => {
    const size = new BatchSize(BOUNDS);
    size.taken(250);
    size.taken(300);
    expect(size.limit).toBe(350);
    size.taken(349);
    expect(size.limit).toBe(350);
    size.refused();
    expect(size.limit).toBe(175);
  });

  it('keeps within its bounds, whatever happens', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constant('refused'), fc.integer({ min: 0, max: 1_200 }))),
        (events) => {
          const size = new BatchSize(BOUNDS);
          for (const event of events) {
            if (typeof event === 'number') size.taken(event);
            else size.refused();
            expect(size.limit).toBeGreaterThanOrEqual(1);
            expect(size.limit).toBeLessThanOrEqual(1_000);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
