import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareUtf8 } from '#libs/kernel';
import { SortedKeys } from './sorted-keys.js';

const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 });

describe('SortedKeys', () => {
  it('is a set in the order of UTF-8 bytes, and can be read from any key', () => {
    const step = fc.record({ add: fc.boolean(), key });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), key, fc.boolean(), (steps, from, inclusive) => {
        const model = new Set<string>();
        const keys = new SortedKeys();
        for (const { add, key } of steps) {
          if (add) {
            model.add(key);
            keys.add(key);
          } else {
            model.delete(key);
            keys.delete(key);
          }
        }
        const wanted = [...model].filter((k) => {
          const order = compareUtf8(k, from);
          return inclusive ? order >= 0 : order > 0;
        });
        expect([...keys.from(from, inclusive)]).toEqual(wanted.sort(compareUtf8));
      }),
      { numRuns: 500 },
    );
  });

  it('keeps the order over many chunks, filled in order, in reverse and in the middle', () => {
    for (const place of [(i: number) => i, (i: number) => 4_999 - i, (i: number) => (i * 1_237) % 5_000]) {
      const keys = new SortedKeys();
      for (let i = 0; i < 5_000; i++) keys.add(String(place(i)).padStart(4, '0'));
      expect([...keys.from('', true)]).toEqual(
        Array.from({ length: 5_000 }, (_, i) => String(i).padStart(4, '0')),
      );
      for (let i = 0; i < 5_000; i += 2) keys.delete(String(i).padStart(4, '0'));
      expect([...keys.from('4990', true)]).toEqual(['4991', '4993', '4995', '4997', '4999']);
    }
  });
});
