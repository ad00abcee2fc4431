import type { ProcessKind } from './process-plan.js';

/**
 * In which order a cluster is restarted, one process after the other: observers, followers, the leader last of the
 * nodes (after it has handed over), then the control services, then the gateways.
 */
export interface RollingProcess {
  name: string;
  kind: ProcessKind;
}

export interface RollingNode {
  id: string;
  role: string;
}

/** The next one of those that are left; undefined when none is. Asked before each, since leadership may move. */
export function nextToRestart<P extends RollingProcess>(
  left: readonly P[],
  nodes: readonly RollingNode[],
): P | undefined {
  const roles = new Map(nodes.map(({ id, role }) => [id, role]));
  const rank = ({ name, kind }: P) => RANKS[kind] + (kind === 'node' ? rankOfRole(roles.get(name)) : 0);
  return left.toSorted((a, b) => rank(a) - rank(b))[0];
}

const RANKS: Readonly<Record<ProcessKind, number>> = { node: 0, service: 10, gateway: 20 };

function rankOfRole(role: string | undefined): number {
  if (role === 'observer') return 0;
  return role === 'leader' ? 2 : 1;
}

/** What a node is like that may be followed by the next. */
export interface RestartCandidate extends RollingNode {
  status: string;
  reason: string | null;
  incarnation: number;
  lag: number;
}

/** Changes go on while a node is looked at. */
const LEVEL_LAG = 50;

/** Why not yet; undefined = it is back, healthy and level. */
export function whyNotBack(
  node: RestartCandidate | undefined,
  incarnationBefore: number,
): string | undefined {
  if (!node) return 'the gateway does not list it';
  if (node.incarnation <= incarnationBefore) return 'it has not come back as a new incarnation';
  if (node.status !== 'healthy' && node.reason !== 'draining')
    return `it is ${node.status}${node.reason ? ` (${node.reason})` : ''}`;
  return node.lag <= LEVEL_LAG ? undefined : `it is ${node.lag} versions behind`;
}

/** Why a restart must not begin; undefined = the cluster can bear it. */
export function whyNotNow(nodes: readonly RestartCandidate[], leaderId: string | null): string | undefined {
  if (leaderId === null) return 'there is no leader';
  const unwell = nodes.filter(({ status, reason }) => status !== 'healthy' && reason !== 'draining');
  if (unwell.length === 0) return undefined;
  return unwell
    .map(({ id, status, reason }) => `${id} is ${status}${reason ? ` (${reason})` : ''}`)
    .join(', ');
}
