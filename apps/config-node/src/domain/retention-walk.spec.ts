import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchesOf, nextAfter } from './retention-walk.js';

describe('the next slice', () => {
  const bounds = { keys: 3, operationsPerKey: 10 };
  const slice = (text: string) =>
    text.split(' ').flatMap((word) => {
      const [key, count] = word.split(':');
      return key ? [{ key, removable: Number(count) }] : [];
    });

  it.each([
    ['begins after the last key', 'b:2 c:0 d:9', 'd'],
    ['is none when there were fewer keys than asked for', 'b:2 c:0', undefined],
    ['is none after nothing', '', undefined],
    ['looks again at a key that may have more', 'b:2 c:10 d:1', 'b'],
    ['looks again at the first key too', 'b:10 c:1 d:1', 'a'],
    ['looks again at the last one of all', 'b:1 c:10', 'b'],
  ])('%s', (_, keys, expected) => {
    expect(nextAfter(slice(keys), 'a', bounds)).toBe(expected);
  });
});

describe('what is removed at once', () => {
  const most = { operations: 3, bytes: 10 };

  it('leaves out nothing, keeps the order, and is bounded but for what is too large by itself', () => {
    const operations = fc.array(fc.record({ bytes: fc.nat(15) }), { maxLength: 30 });
    fc.assert(
      fc.property(operations, (all) => {
        const batches = [...batchesOf(all, most)];
        expect(batches.flat()).toEqual(all);
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0);
          expect(batch.length).toBeLessThanOrEqual(most.operations);
          const bytes = batch.reduce((sum, operation) => sum + operation.bytes, 0);
          if (batch.length > 1) expect(bytes).toBeLessThanOrEqual(most.bytes);
        }
      }),
      { numRuns: 10_000 },
    );
  });

  it('is no smaller than it has to be', () => {
    const sizes = [4, 4, 4, 1, 1, 1, 1].map((bytes) => ({ bytes }));
    expect([...batchesOf(sizes, most)].map((batch) => batch.length)).toEqual([2, 3, 2]);
  });
});
