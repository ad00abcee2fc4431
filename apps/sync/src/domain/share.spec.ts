import { expect, it } from 'vitest';
import { shareOf } from './share.js';

const NODES = Array.from({ length: 60 }, (_, i) => `node-${i}`);

it('shares every node among the instances once, and moves only those of one that is gone', () => {
  const instances = ['s1', 's2', 's3'];
  const shares = instances.map((self) => shareOf(self, NODES, instances));
  expect(shares.flatMap((share) => [...share]).sort()).toEqual([...NODES].sort());
  for (const share of shares) expect(share.size).toBeGreaterThan(8);
  const left = ['s1', 's3'].map((self) => shareOf(self, NODES, ['s1', 's3']));
  expect([...(shares[0] ?? [])].every((node) => left[0]?.has(node))).toBe(true);
  expect([...(shares[2] ?? [])].every((node) => left[1]?.has(node))).toBe(true);
});
