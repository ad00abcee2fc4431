import type { VerdictReason } from '#libs/contracts';
import type { NodeEvidence } from './evidence.js';

/** One incarnation of a node, with what is asked and judged of it. */
export interface WatchedNode extends NodeEvidence {
  verdict: { verdict: 'failed' | 'degraded'; reason: VerdictReason } | undefined;
  /** Of the newest verdict heard. */
  verdictSeq: number;
  /** The verdict is of before the node was made leader: nobody was deposed for it, so it does not end the matter. */
  verdictIsOld: boolean;
  /** Nobody else could say whether it has crashed: its silence is asked about as well. */
  crashUnproven: boolean;
  asking: VerdictReason | undefined;
  askAgainAtMs: number;
  timesRefuted: number;
  restartTold: number;
}

/** An incarnation that nothing is known of yet but that it is there. */
export function watched(of: {
  nodeId: string;
  incarnation: number;
  nowMs: number;
  before: WatchedNode | undefined;
}): WatchedNode {
  const { nodeId, incarnation, nowMs, before } = of;
  return {
    nodeId,
    incarnation,
    heardAtMs: nowMs,
    steadySinceMs: nowMs,
    pingOks: 0,
    pingMisses: 0,
    missingSinceMs: undefined,
    // It may have been tied before the node said who it is now; an older one is about to be seen closed.
    tether: before?.tether === 'open' ? 'open' : 'none',
    tetherClosedAtMs: undefined,
    refusedAtMs: [],
    fenceConfirmedAtMs: undefined,
    verdict: undefined,
    verdictSeq: 0,
    verdictIsOld: false,
    crashUnproven: false,
    asking: undefined,
    askAgainAtMs: Number.NEGATIVE_INFINITY,
    timesRefuted: 0,
    restartTold: before?.restartTold ?? 0,
  };
}

/** What was not heard while this process did not run proves nothing. */
export function beginAnew(node: WatchedNode, nowMs: number): void {
  node.heardAtMs = Math.max(node.heardAtMs, nowMs);
  node.pingMisses = 0;
  node.missingSinceMs = undefined;
  node.refusedAtMs = [];
  if (node.fenceConfirmedAtMs !== undefined) node.fenceConfirmedAtMs = nowMs;
}

/** Whoever comes to lead may have died before: what was asked or judged of it then has deposed nobody. */
export function judgeAfresh(node: WatchedNode): void {
  node.verdictIsOld = node.verdict !== undefined;
  node.asking = undefined;
  node.askAgainAtMs = Number.NEGATIVE_INFINITY;
  node.timesRefuted = 0;
  node.restartTold = 0;
}
