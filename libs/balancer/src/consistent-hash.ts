import { slotsBetween } from './bounded-load.js';
import { type Hash, hashOf, lotOf } from './hash.js';
import { shareOf } from './round-robin.js';
import type { Strategy } from './strategy.js';
import type { Upstream } from './upstream.js';

export const DEFAULT_LOAD_PERCENT = 125;

/**
 * The same key to the same node: weighted rendezvous hashing. Every node draws a lot for the key and the greatest
 * `-share / ln(lot)` wins, so that each wins as many keys as its share says, and a node that leaves moves no key but
 * its own (Thaler and Ravishankar 1998; the weights after Schindelhauer and Schomaker 2005). Lots are drawn for node
 * ids, never for places in a list or addresses. The next best is who gets a retry: it asks again without the first.
 *
 * A node that has more than its share of all requests by a factor is passed over (bounded load), so that one hot key
 * does not sink one node.
 */
export class ConsistentHash implements Strategy {
  /** @param keyOf what of the request target is hashed */
  constructor(
    private readonly keyOf: (target: string) => string,
    private readonly loadPercent: number = DEFAULT_LOAD_PERCENT,
  ) {}

  pick<U extends Upstream>(candidates: readonly U[], target: string): U | undefined {
    const first = candidates[0] === undefined ? 0 : shareOf(candidates[0]);
    let active = 0;
    let all = 0;
    let equal = true;
    for (const candidate of candidates) {
      const share = shareOf(candidate);
      active += candidate.active;
      all += share;
      equal &&= share === first;
    }
    const slots = Math.ceil(((active + 1) * this.loadPercent) / 100);
    const key = hashOf(this.keyOf(target));
    let best: U | undefined;
    let bestScore = 0;
    let before = 0;
    for (const candidate of candidates) {
      const share = shareOf(candidate);
      const score = scoreOf(candidate, key, equal);
      if (score > bestScore && candidate.active < slotsBetween(slots, before, share, all)) {
        best = candidate;
        bestScore = score;
      }
      before += share;
    }
    return best;
  }
}

/** The node that wins a key, whatever its load: for what lasts long and is few, such as following a log. */
export function rendezvous<U extends Upstream>(candidates: readonly U[], key: string): U | undefined {
  const hash = hashOf(key);
  let best: U | undefined;
  let bestScore = 0;
  for (const candidate of candidates) {
    const score = scoreOf(candidate, hash, false);
    if (score <= bestScore) continue;
    best = candidate;
    bestScore = score;
  }
  return best;
}

/** Above zero. Where all shares are equal the lot itself is in the same order, without the logarithm. */
function scoreOf(upstream: Upstream, key: Hash, equal: boolean): number {
  const lot = lotOf(upstream.hash, key);
  return equal ? lot : -shareOf(upstream) / Math.log(lot);
}
