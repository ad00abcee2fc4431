import type { Candidate } from './node-table.js';

/** What a strategy may look at. */
export interface BalancedRequest {
  /** The request target: path and query. */
  target: string;
}

/** Chooses among nodes that are equally fit. Strategies differ in fairness, not in who is fit: that is the table's. */
export interface BalancingStrategy {
  pick(candidates: readonly Candidate[], request: BalancedRequest): Candidate | undefined;
}

/** One after the other. Starts anywhere, so that many gateways do not march in step. */
export class RoundRobin implements BalancingStrategy {
  constructor(private next: number) {}

  pick(candidates: readonly Candidate[]): Candidate | undefined {
    this.next = (this.next + 1) % Math.max(1, candidates.length);
    return candidates[this.next];
  }
}

/** The first tier that has a node which was not tried yet decides. */
export function chooseNode(
  tiers: readonly (readonly Candidate[])[],
  tried: readonly string[],
  strategy: BalancingStrategy,
  request: BalancedRequest,
): Candidate | undefined {
  for (const tier of tiers) {
    const untried = tried.length === 0 ? tier : tier.filter(({ address }) => !tried.includes(address));
    if (untried.length > 0) return strategy.pick(untried, request);
  }
  return undefined;
}
