import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutlierEjection } from './outlier-ejection.js';

function failTimes(ejection: OutlierEjection, id: string, times: number, nowMs: number, known = 3) {
  let forMs: number | undefined;
  for (let i = 0; i < times; i++) forMs = ejection.failed(id, nowMs, known) ?? forMs;
  return forMs;
}

describe('outlier ejection', () => {
  it('takes a node out at its fifth failure in a row', () => {
    const ejection = new OutlierEjection();
    expect(failTimes(ejection, 'a', 4, 0)).toBeUndefined();
    ejection.succeeded('a');
    expect(failTimes(ejection, 'a', 4, 0)).toBeUndefined();
    expect(ejection.isEjected('a')).toBe(false);
    expect(failTimes(ejection, 'a', 1, 0)).toBe(30_000);
    expect(ejection.isEjected('a')).toBe(true);
  });

  it('is for 30 s more each time, at most 300', () => {
    const ejection = new OutlierEjection();
    let nowMs = 0;
    const seconds = Array.from({ length: 12 }, () => {
      const forMs = failTimes(ejection, 'a', 5, nowMs) ?? 0;
      expect(ejection.tick(nowMs + forMs - 1)).toEqual([]);
      nowMs += forMs;
      expect(ejection.tick(nowMs)).toEqual(['a']);
      return forMs / 1_000;
    });
    expect(seconds).toEqual([30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
  });

  it('forgets one time for every 30 s without', () => {
    const ejection = new OutlierEjection();
    failTimes(ejection, 'a', 5, 0);
    ejection.tick(30_000);
    failTimes(ejection, 'a', 5, 30_000);
    ejection.tick(90_000);
    expect(failTimes(ejection, 'a', 5, 90_000 + 30_000)).toBe(60_000); // third, less one
    ejection.tick(180_000);
    expect(failTimes(ejection, 'a', 5, 180_000 + 600_000)).toBe(30_000);
  });

  it.each([
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 1],
    [6, 1],
    [7, 2],
    [10, 3],
  ])('of %d nodes at most %d are out', (known, most) => {
    const ejection = new OutlierEjection();
    for (let i = 0; i < known; i++) failTimes(ejection, `n${i}`, 20, 0, known);
    expect(ejection.ejected).toBe(most);
  });

  it('ends when an active check finds the node good', () => {
    const ejection = new OutlierEjection();
    failTimes(ejection, 'a', 5, 0);
    expect(ejection.checkedGood('a', 10)).toBe(true);
    expect(ejection.isEjected('a')).toBe(false);
    expect(ejection.checkedGood('a', 11)).toBe(false);
    expect(failTimes(ejection, 'a', 4, 20)).toBeUndefined(); // it begins anew
  });

  it('never has more out than it may, nor longer than it says, whatever happens', () => {
    const step = fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
      what: fc.constantFrom('failed', 'failed', 'failed', 'succeeded', 'checked'),
      afterMs: fc.nat(20_000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const ejection = new OutlierEjection();
        const untilMs = new Map<string, number>();
        let nowMs = 0;
        for (const { id, what, afterMs } of steps) {
          nowMs += afterMs;
          ejection.tick(nowMs);
          for (const [node, until] of untilMs)
            if (until <= nowMs) expect(ejection.isEjected(node)).toBe(false);
          if (what === 'failed') {
            const forMs = ejection.failed(id, nowMs, 7);
            if (forMs !== undefined) untilMs.set(id, nowMs + forMs);
          } else if (what === 'succeeded') ejection.succeeded(id);
          else ejection.checkedGood(id, nowMs);
          expect(ejection.ejected).toBeLessThanOrEqual(2);
        }
        ejection.tick(nowMs + 300_000);
        expect(ejection.ejected).toBe(0);
      }),
      { numRuns: 10_000 },
    );
  });
});
