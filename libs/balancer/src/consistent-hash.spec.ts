import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import xxhash from 'xxhash-wasm';
import { slotsOf } from './bounded-load.js';
import { ConsistentHash, rendezvous } from './consistent-hash.js';
import { hashOf } from './hash.js';
import { Upstream } from './upstream.js';

const fleet = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => new Upstream(`node-${index + from}`));
const strategy = (percent?: number) => new ConsistentHash((target) => target, percent);
const CASES = { numRuns: 10_000 };

describe('xxHash64', () => {
  it('is the one of its specification', async () => {
    const { h64ToString } = await xxhash();
    expect(h64ToString('')).toBe('ef46db3751d8e999');
    expect(h64ToString('abc')).toBe('44bc2cf5ad770999');
    expect(h64ToString('abc', 1n)).toBe('bea9ca8199328908');
    expect(hashOf('abc')).toEqual({ high: 0x44bc2cf5, low: 0xad770999 });
  });
});

describe('the slots of bounded load', () => {
  it.each([
    [0, [1, 1, 1, 1], [1, 1, 1, 1]],
    [3, [1, 1, 1, 1], [1, 1, 1, 2]],
    [9, [1, 1, 1, 1], [3, 3, 3, 4]],
    [99, [1, 1, 1, 1], [31, 31, 31, 32]],
    [99, [5, 1, 1], [89, 18, 18]],
  ])('with %d under way and shares %j are %j', (active, shares, slots) => {
    const all = shares.reduce((sum, share) => sum + share, 0);
    let before = 0;
    const given = shares.map((own) => {
      const count = slotsOf(active, 125, { before, own, all });
      before += own;
      return count;
    });
    expect(given).toEqual(slots);
  });
});

describe('consistent hashing', () => {
  it('sends a key to the same node, whatever the order of the list', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 12 }), fc.nat(), (key, count, seed) => {
        const nodes = fleet(count);
        const turned = nodes.map((_, index) => nodes[(index + seed) % count] as Upstream);
        expect(strategy().pick(turned, key)?.id).toBe(strategy().pick(nodes, key)?.id);
      }),
      CASES,
    );
  });

  it('moves no key but those of a node that left, and a new node takes keys only for itself', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 2, max: 12 }), fc.nat(), (key, count, gone) => {
        const nodes = fleet(count);
        const left = nodes[gone % count];
        const before = strategy().pick(nodes, key);
        const after = strategy().pick(
          nodes.filter((node) => node !== left),
          key,
        );
        if (before !== left) expect(after).toBe(before);
      }),
      CASES,
    );
  });

  it('sends a retry to the next best: the one that all would ask if the first were not there', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 2, max: 8 }), (key, count) => {
        let candidates = fleet(count);
        const tried = new Set<string>();
        while (candidates.length > 0) {
          const chosen = strategy().pick(candidates, key);
          tried.add(chosen?.id ?? '');
          candidates = candidates.filter((node) => node !== chosen);
        }
        expect(tried.size).toBe(count);
      }),
      CASES,
    );
  });

  it.each([
    [5, 1.02],
    [10, 1.04],
  ])('gives %d nodes the same number of keys, to %f', (count, most) => {
    const nodes = fleet(count);
    const counts = new Map<string, number>();
    for (let i = 0; i < 100_000; i++) {
      const id = rendezvous(nodes, `app/key-${i}`)?.id ?? '';
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect((Math.max(...counts.values()) * count) / 100_000).toBeLessThan(most);
  });

  it('gives each node keys by its weight', () => {
    const nodes = fleet(3);
    const [heavy] = nodes;
    if (heavy) heavy.weight = 4;
    let won = 0;
    for (let i = 0; i < 60_000; i++) if (rendezvous(nodes, `k${i}`) === heavy) won += 1;
    expect(won / 60_000).toBeCloseTo(4 / 6, 2);
  });

  it('lets no node have more than its share by the factor, though every request is for one key', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.nat(60),
        fc.integer({ min: 101, max: 200 }),
        (count, requests, percent) => {
          const nodes = fleet(count);
          for (let sent = 0; sent < requests; sent++) {
            const chosen = strategy(percent).pick(nodes, 'hot') as Upstream;
            const most = Math.ceil(Math.ceil(((sent + 1) * percent) / 100) / count);
            chosen.active += 1;
            expect(chosen.active).toBeLessThanOrEqual(Math.max(1, most));
          }
        },
      ),
      CASES,
    );
  });

  it('chooses somebody, whatever is under way', () => {
    const load = fc.record({ active: fc.nat(5_000), weight: fc.integer({ min: 1, max: 100 }) });
    fc.assert(
      fc.property(fc.array(load, { minLength: 1, maxLength: 10 }), fc.string(), (loads, key) => {
        const nodes = loads.map((it, index) => Object.assign(new Upstream(`n${index}`), it));
        expect(strategy().pick(nodes, key)).toBeDefined();
      }),
      CASES,
    );
    expect(strategy().pick([], 'x')).toBeUndefined();
  });
});
