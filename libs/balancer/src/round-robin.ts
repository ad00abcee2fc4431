import type { Strategy } from './strategy.js';
import { FULL_RAMP, type Upstream } from './upstream.js';

/**
 * Smooth weighted round robin of nginx (src/http/ngx_http_upstream_round_robin.c): at every turn each candidate's
 * credit grows by its share, the one with the most is chosen and pays what all have got. Over as many turns as there
 * are shares each gets exactly its share, and never many in a row. Credits of all nodes always sum up to zero.
 *
 * `equal`: everybody's share is the same, which is plain round robin; slow start still counts.
 */
export class SmoothRoundRobin implements Strategy {
  /** @param skip turns that are taken beforehand, a random number, so that many gateways do not march in step */
  constructor(
    private readonly shares: 'weighted' | 'equal',
    private skip: number,
  ) {}

  pick<U extends Upstream>(candidates: readonly U[]): U | undefined {
    for (; this.skip > 0 && candidates.length > 1; this.skip--) this.turn(candidates);
    return this.turn(candidates);
  }

  private turn<U extends Upstream>(candidates: readonly U[]): U | undefined {
    let best: U | undefined;
    let total = 0;
    for (const candidate of candidates) {
      total += credit(candidate, this.shares === 'weighted' ? candidate.weight : 1);
      if (best === undefined || candidate.turn.current > best.turn.current) best = candidate;
    }
    if (best !== undefined) best.turn.current -= total;
    return best;
  }
}

/**
 * One turn among those candidates whose load is the same part of their share as `like`'s, the others keep their
 * credit (nginx breaks the ties of least_conn in this way).
 */
export function turnAmongEquals<U extends Upstream>(candidates: readonly U[], like: U): U {
  let best: U | undefined;
  let total = 0;
  for (const candidate of candidates) {
    if (candidate.active * shareOf(like) !== like.active * shareOf(candidate)) continue;
    total += credit(candidate, candidate.weight);
    if (best === undefined || candidate.turn.current > best.turn.current) best = candidate;
  }
  const chosen = best ?? like;
  chosen.turn.current -= total;
  return chosen;
}

export function shareOf(upstream: Upstream): number {
  return upstream.weight * upstream.ramp;
}

/** Adds what a candidate has coming to it at this turn, and says how much that was. */
function credit({ ramp, turn }: Upstream, weight: number): number {
  const share = Math.max(0, weight * ramp - turn.withheld);
  turn.current += share;
  if (turn.withheld > 0) turn.withheld = Math.max(0, turn.withheld - FULL_RAMP);
  return share;
}
