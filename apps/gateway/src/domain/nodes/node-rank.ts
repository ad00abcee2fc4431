import type { NodeStatus, StatusReason } from '#libs/contracts';

/**
 * How fit a node is to be asked, the fittest first: who stands higher is asked before who stands lower, and nobody is
 * never asked. The same names are metric labels.
 *
 * `ejected` is this gateway's own finding: a node that fails its requests is asked only after those that serve old
 * values, but before those that may not know a value at all.
 */
export const NODE_RANKS = [
  'healthy',
  'degraded', // has a state, perhaps an old one
  'ejected', // one of the above, whose answers failed here again and again
  'syncing', // is still loading, or met another database: may know less than its clients have seen
  'unknown', // nobody has vouched for it yet
  'out', // judged, drained, quarantined or leaving, but it answers
  'unreachable',
] as const;
export type Standing = (typeof NODE_RANKS)[number];

export interface RankEvidence {
  status: NodeStatus | null;
  reason: StatusReason | null;
  judged: object | null;
  brokenAtMs: number | null;
  answers: boolean | null;
}

export function rankOf(node: RankEvidence): Standing {
  if (isOut(node)) return node.answers === false ? 'unreachable' : 'out';
  if (node.status === 'healthy') return 'healthy';
  if (node.status === 'degraded') return hasState(node) ? 'degraded' : 'syncing';
  return node.answers === false ? 'unreachable' : 'unknown';
}

function isOut({ judged, brokenAtMs, status, reason }: RankEvidence): boolean {
  if (judged !== null || brokenAtMs !== null) return true;
  if (status === 'failed' || status === 'shutting-down') return true;
  return reason === 'draining' || reason === 'quarantined';
}

function hasState({ reason }: RankEvidence): boolean {
  return reason !== 'syncing' && reason !== 'recovering' && reason !== 'wrong-database';
}
