import { shareOf, turnAmongEquals } from './round-robin.js';
import type { Strategy } from './strategy.js';
import type { Upstream } from './upstream.js';

/**
 * The node with the fewest requests under way for its share; equals take turns. A full scan: for some tens of nodes it
 * beats the power of two choices by far when one of them is slow, most of all with several gateways that each know only
 * their own requests. After nginx's least_conn (src/http/modules/ngx_http_upstream_least_conn_module.c).
 *
 * A node that fails fast looks idle: passive ejection has to go with this.
 */
export class LeastConnections implements Strategy {
  pick<U extends Upstream>(candidates: readonly U[]): U | undefined {
    let best: U | undefined;
    let equals = 0;
    for (const candidate of candidates) {
      const difference =
        best === undefined ? -1 : candidate.active * shareOf(best) - best.active * shareOf(candidate);
      if (difference < 0) {
        best = candidate;
        equals = 1;
      } else if (difference === 0) {
        equals += 1;
      }
    }
    return best !== undefined && equals > 1 ? turnAmongEquals(candidates, best) : best;
  }
}
