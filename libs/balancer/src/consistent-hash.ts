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
    let active = 0;
    let all = 0;
    for (const candidate of candidates) {
      active += candidate.active;
      all += shareOf(candidate);
    }
    const slots = Math.ceil(((active + 1) * this.loadPercent) / 100);
    const key = hashOf(this.keyOf(target));
    let best: U | undefined;
    let bestScore = 0;
    let before = 0;
    for (const candidate of candidates) {
      const share = shareOf(candidate);
      const hasRoom = candidate.active < slotsBetween(slots, before, share, all);
      before += share;
      if (!hasRoom) continue;
      const score = scoreOf(candidate, key);
      if (best !== undefined && score <= bestScore) continue;
      best = candidate;
      bestScore = score;
    }
    return best;
  }
}

/** The node that wins a key, whatever its load: for what lasts long and is few, such as following a log. */
export function rendezvous<U extends Upstream>(candidates: readonly U[], key: string): U | undefined {
  const hash = hashOf(key);
  let best: U | undefined;
  for (const candidate of candidates) {
    if (best === undefined || scoreOf(candidate, hash) > scoreOf(best, hash)) best = candidate;
  }
  return best;
}

function scoreOf(upstream: Upstream, key: Hash): number {
  return -shareOf(upstream) / Math.log(lotOf(upstream.hash, key));
}
