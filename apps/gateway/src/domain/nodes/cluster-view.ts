import type { HealthReport, NodeRole, NodeStatus, StatusReason } from '#libs/contracts';
import type { KnownLeader } from './leader-view.js';
import type { NodeRecord } from './node-table.js';

/** One node as `GET /v1/cluster` shows it. */
export interface NodeView {
  id: string;
  role: NodeRole;
  status: NodeStatus;
  reason: StatusReason | null;
  address: string | null;
  version: number;
  lag: number;
  lastHeartbeatAt: string | null;
  incarnation: number;
  metadata: Record<string, string>;
}

/** What health checks have found, as `GET /v1/nodes/{id}` shows it. */
export type NodeHealth = Omit<HealthReport, 'nodeId' | 'incarnation'>;

export function nodeHealth(report: HealthReport): NodeHealth {
  const { state, reason, consecutive, observer, recent, transitions } = report;
  return { state, reason, consecutive, observer, recent, transitions };
}

export function nodeView(node: NodeRecord, leader: KnownLeader, headVersion: number): NodeView {
  return {
    id: node.id,
    role: roleOf(node, leader),
    ...statusOf(node),
    address: node.address,
    version: node.version,
    lag: Math.max(0, headVersion - node.version),
    lastHeartbeatAt: node.lastHeartbeatAt,
    incarnation: node.incarnation,
    metadata: node.metadata,
  };
}

/** There is one leader: a node that was deposed and has not said so yet is shown as what it is by now. */
function roleOf(node: NodeRecord, leader: KnownLeader): NodeRole {
  if (node.id === leader.id) return 'leader';
  return node.role === null || node.role === 'leader' ? 'follower' : node.role;
}

/** Of a node that the registry has not told of yet, what this gateway sees itself. */
function statusOf(node: NodeRecord): { status: NodeStatus; reason: StatusReason | null } {
  if (node.status !== null) return { status: node.status, reason: node.reason };
  return { status: 'degraded', reason: node.answers === false ? 'unreachable' : 'syncing' };
}
