import { describe, expect, it } from 'vitest';
import { BALANCING_STRATEGIES } from '#libs/contracts';
import { type BalancingSettings, balancingBy, isSame, strategyOf } from './balancing-settings.js';
import { Candidate } from './candidate.js';

const own: BalancingSettings = {
  strategy: 'least-connections',
  hedge: true,
  slowStartMs: 30_000,
  loadPercent: 125,
};

describe('how a gateway balances', () => {
  it('is its own way, until the key says something', () => {
    expect(balancingBy(own, null)).toEqual(own);
    expect(balancingBy(own, { strategy: 'round-robin' })).toEqual({ ...own, strategy: 'round-robin' });
    const all = { strategy: 'consistent-hash', hedge: false, slowStartMs: 0, loadPercent: 200 } as const;
    expect(balancingBy(own, all)).toEqual(all);
    expect(isSame(own, { ...own })).toBe(true);
    for (const change of [{ hedge: false }, { slowStartMs: 1 }, { loadPercent: 150 }]) {
      expect(isSame(own, { ...own, ...change })).toBe(false);
    }
  });

  it.each(BALANCING_STRATEGIES)('%s chooses somebody', (strategy) => {
    const nodes = ['a', 'b'].map((id) => new Candidate(id, `http://${id}`));
    expect(strategyOf({ ...own, strategy }, 3).pick(nodes, '/v1/namespaces/app/configs/x')).toBeDefined();
  });
});
