import type { Upstream } from './upstream.js';

/**
 * Chooses among nodes that are equally fit; who is fit is not its business. Takes no nodes away: of a set that is
 * not empty somebody is chosen. Called for every request, so that it allocates nothing.
 */
export interface Strategy {
  /** @param target the request target, for strategies that send the same to the same node */
  pick<U extends Upstream>(candidates: readonly U[], target: string): U | undefined;
}
