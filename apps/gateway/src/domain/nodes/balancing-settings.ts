import { ConsistentHash, LeastConnections, SmoothRoundRobin, type Strategy } from '#libs/balancer';
import type { BalancingStrategy, GatewayBalancing } from '#libs/contracts';
import { hashKeyOf } from '../hash-key.js';

/** How this gateway balances: its own settings, or what the whole cluster was told. */
export interface BalancingSettings {
  strategy: BalancingStrategy;
  hedge: boolean;
  slowStartMs: number;
  loadPercent: number;
}

export const SLOW_START_MS = 30_000;

/** What the key says; where it says nothing, this gateway's own. */
export function balancingBy(own: BalancingSettings, key: GatewayBalancing | null): BalancingSettings {
  if (key === null) return own;
  const { strategy, hedge, slowStartMs, loadPercent } = key;
  return {
    strategy,
    hedge: hedge ?? own.hedge,
    slowStartMs: slowStartMs ?? own.slowStartMs,
    loadPercent: loadPercent ?? own.loadPercent,
  };
}

export function isSame(a: BalancingSettings, b: BalancingSettings): boolean {
  return (
    a.strategy === b.strategy &&
    a.hedge === b.hedge &&
    a.slowStartMs === b.slowStartMs &&
    a.loadPercent === b.loadPercent
  );
}

/** @param skip a random number, so that gateways do not march in step */
export function strategyOf({ strategy, loadPercent }: BalancingSettings, skip: number): Strategy {
  switch (strategy) {
    case 'round-robin':
      return new SmoothRoundRobin('equal', skip);
    case 'weighted-round-robin':
      return new SmoothRoundRobin('weighted', skip);
    case 'least-connections':
      return new LeastConnections();
    case 'consistent-hash':
      return new ConsistentHash(hashKeyOf, loadPercent);
  }
}
