/** What a gateway knows when it is asked whether it is ready. */
export interface ServingEvidence {
  nowMs: number;
  /** Some node can be asked for reads. */
  nodeAnswers: boolean;
  /** The leader of the present term is known, and the database has confirmed that it leads. */
  leaderConfirmed: boolean;
  /** A leader was confirmed at some time since this gateway started. */
  leaderWasConfirmed: boolean;
  /** Some node is fresh and in sync with the leader. */
  nodeInSync: boolean;
}

/**
 * `starting`: no leader was confirmed since this gateway started. `serving`: reads and writes. `reads-only`: a node
 * answers, no leader is confirmed. `no-node`: nothing can be answered.
 */
export type ServingState = 'starting' | 'serving' | 'reads-only' | 'no-node';

/** A gateway that starts while there is no leader serves reads after this time: an outage of writes must not spread. */
const READS_ONLY_AFTER_MS = 10_000;

/**
 * When a gateway is ready. At its start it waits for a confirmed leader and a node in sync, so that the first write
 * succeeds and the first read is fresh. Once that was reached it stays ready as long as a node answers: without a
 * leader or a database reads go on, and no load balancer may take all gateways out for that.
 *
 * Example: gateway-2 restarts while Postgres is down. (1) node-1 answers, no leader is confirmed: `starting`. (2) 10 s
 * later: `reads-only`, ready. (3) Postgres is back and node-3 leads: `serving`.
 */
export class ServingGate {
  private reached = false;

  constructor(private readonly startedAtMs: number) {}

  judge(evidence: ServingEvidence): ServingState {
    const { nowMs, nodeAnswers, leaderConfirmed, leaderWasConfirmed, nodeInSync } = evidence;
    if (!nodeAnswers) return 'no-node';
    const waitedEnough = nowMs - this.startedAtMs >= READS_ONLY_AFTER_MS;
    if ((leaderWasConfirmed && nodeInSync) || waitedEnough) this.reached = true;
    if (!this.reached) return 'starting';
    return leaderConfirmed ? 'serving' : 'reads-only';
  }
}

export function isReady(state: ServingState): boolean {
  return state === 'serving' || state === 'reads-only';
}
