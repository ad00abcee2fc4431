import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SmoothRoundRobin } from './round-robin.js';
import { FULL_RAMP, Upstream } from './upstream.js';

const CASES = { numRuns: 10_000 };

function upstreams(...weights: number[]): Upstream[] {
  return weights.map((weight, index) => {
    const upstream = new Upstream('abcdefghij'[index] ?? `n${index}`);
    upstream.weight = weight;
    return upstream;
  });
}

const picks = (strategy: SmoothRoundRobin, candidates: readonly Upstream[], times: number) =>
  Array.from({ length: times }, () => strategy.pick(candidates)?.id ?? '-').join('');
const credits = (candidates: readonly Upstream[]) => candidates.map(({ turn }) => turn.current / FULL_RAMP);
const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 });

describe('smooth weighted round robin', () => {
  it.each([
    [[5, 1, 1], 'aabacaa'], // the text of nginx's commit 52327e0627f4
    [[4, 2, 1], 'abacaba'],
    [[3, 2, 1], 'abacba'],
    [[10, 1], 'aaaaabaaaaa'],
    [[1, 1, 1], 'abcabc'],
    [[7], 'aaa'],
  ])('of %j is %s', (shares, order) => {
    expect(picks(new SmoothRoundRobin('weighted', 0), upstreams(...shares), order.length)).toBe(order);
  });

  it('of 5, 1, 1 leaves the credits that nginx leaves, turn by turn', () => {
    const candidates = upstreams(5, 1, 1);
    const strategy = new SmoothRoundRobin('weighted', 0);
    const seen = Array.from({ length: 7 }, () => {
      strategy.pick(candidates);
      return credits(candidates);
    });
    expect(seen).toEqual([
      [-2, 1, 1],
      [-4, 2, 2],
      [1, -4, 3],
      [-1, -3, 4],
      [4, -2, -2],
      [2, -1, -1],
      [0, 0, 0],
    ]);
  });

  it('gives each its share over as many turns as there are shares, wherever one begins to count', () => {
    fc.assert(
      fc.property(weights, fc.nat(40), fc.nat(40), (shares, skip, before) => {
        const candidates = upstreams(...shares);
        const strategy = new SmoothRoundRobin('weighted', skip);
        picks(strategy, candidates, before);
        const order = picks(strategy, candidates, total(shares));
        for (const { id, weight } of candidates) expect(order.split(id).length - 1).toBe(weight);
      }),
      CASES,
    );
  });

  it('has credits that sum up to zero, whoever comes, goes, fails or starts slowly', () => {
    const step = fc.record({
      present: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
      ramp: fc.integer({ min: 1, max: FULL_RAMP }),
      fails: fc.boolean(),
    });
    fc.assert(
      fc.property(weights, fc.array(step, { maxLength: 20 }), (shares, steps) => {
        const all = upstreams(...shares);
        const strategy = new SmoothRoundRobin('weighted', 0);
        for (const { present, ramp, fails } of steps) {
          const chosen = strategy.pick(all.filter((_, index) => present[index]));
          if (chosen !== undefined) chosen.ramp = ramp;
          if (fails) chosen?.failed();
          expect(total(all.map(({ turn }) => turn.current))).toBe(0);
        }
      }),
      CASES,
    );
  });

  it('keeps the place of a node that was away', () => {
    const [a, b, c] = upstreams(1, 1, 1) as [Upstream, Upstream, Upstream];
    const strategy = new SmoothRoundRobin('weighted', 0);
    expect(picks(strategy, [a, b, c], 1)).toBe('a');
    expect(picks(strategy, [a, c], 4)).toBe('ccac');
    expect(picks(strategy, [a, b, c], 3)).toBe('bac');
  });

  it('gives a node that failed no turns, and one share back with each turn', () => {
    const candidates = upstreams(2, 2);
    const strategy = new SmoothRoundRobin('weighted', 0);
    candidates[0]?.failed();
    expect(picks(strategy, candidates, 8)).toBe('bbababab');
  });

  it('begins somewhere else for every gateway', () => {
    const begins = [0, 1, 2, 3].map((skip) =>
      picks(new SmoothRoundRobin('equal', skip), upstreams(1, 1, 1), 3),
    );
    expect(begins).toEqual(['abc', 'bca', 'cab', 'abc']);
  });

  it('of equal shares is round robin whatever the weights', () => {
    expect(picks(new SmoothRoundRobin('equal', 0), upstreams(5, 1, 1), 6)).toBe('abcabc');
  });

  it('gives a node that starts slowly its part', () => {
    const candidates = upstreams(1, 1);
    const [slow] = candidates;
    if (slow) slow.ramp = FULL_RAMP / 10;
    const order = picks(new SmoothRoundRobin('equal', 0), candidates, 110);
    expect(order.split('a').length - 1).toBe(10);
  });

  it('has nobody to offer when there is nobody', () => {
    expect(new SmoothRoundRobin('equal', 5).pick([])).toBeUndefined();
  });
});
