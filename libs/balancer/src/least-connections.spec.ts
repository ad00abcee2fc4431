import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeastConnections } from './least-connections.js';
import { FULL_RAMP, Upstream } from './upstream.js';

function upstream(id: string, active: number, weight = 1): Upstream {
  return Object.assign(new Upstream(id), { active, weight });
}

const loads = fc.array(
  fc.record({
    active: fc.nat(50),
    weight: fc.integer({ min: 1, max: 100 }),
    ramp: fc.integer({ min: 1, max: FULL_RAMP }),
  }),
  { minLength: 1, maxLength: 10 },
);

describe('least connections', () => {
  it.each([
    [[3, 1, 2], [1, 1, 1], 'b'],
    [[3, 1, 2], [10, 1, 1], 'a'], // 0.3 of its share against 1 and 2
    [[0, 9, 9], [1, 100, 100], 'a'],
    [[4, 2], [2, 1], 'a'], // equals: the heavier has the first turn
  ])('of %j under way with weights %j asks %s', (active, weights, id) => {
    const candidates = active.map((count, index) => upstream('abc'[index] ?? '', count, weights[index]));
    expect(new LeastConnections().pick(candidates)?.id).toBe(id);
  });

  it('never asks a node that has more for its share than another', () => {
    fc.assert(
      fc.property(loads, (given) => {
        const candidates = given.map((load, index) => Object.assign(new Upstream(`n${index}`), load));
        const chosen = new LeastConnections().pick(candidates);
        const load = (it: Upstream) => it.active / (it.weight * it.ramp);
        expect(load(chosen as Upstream)).toBeCloseTo(Math.min(...candidates.map(load)), 12);
      }),
      { numRuns: 10_000 },
    );
  });

  it('lets equals take turns by their weights, as when nothing is under way', () => {
    const candidates = [upstream('a', 0, 3), upstream('b', 0, 1), upstream('c', 7, 1)];
    const strategy = new LeastConnections();
    const order = Array.from({ length: 8 }, () => strategy.pick(candidates)?.id).join('');
    expect(order).toBe('aabaaaba');
  });

  it('fills up evenly when nothing ends', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(60), (nodes, requests) => {
        const candidates = Array.from({ length: nodes }, (_, index) => upstream(`n${index}`, 0));
        const strategy = new LeastConnections();
        for (let i = 0; i < requests; i++) {
          const chosen = strategy.pick(candidates);
          if (chosen) chosen.active += 1;
        }
        const active = candidates.map((it) => it.active);
        expect(Math.max(...active) - Math.min(...active)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 10_000 },
    );
  });

  it('has nobody to offer when there is nobody', () => {
    expect(new LeastConnections().pick([])).toBeUndefined();
  });
});
