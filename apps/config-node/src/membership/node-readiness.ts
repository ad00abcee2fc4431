import type { Bus } from '#libs/messaging';
import type { Readiness } from '#libs/observability';
import type { Verification } from '../integrity/verification.js';
import type { Leadership } from '../leadership/leadership.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { Replication } from '../replication/replication.js';
import type { ConfigStore } from '../store/config.store.js';
import type { ClusterMembership } from './cluster-membership.js';

export interface NodeReadinessParts {
  host: ReplicaHost;
  membership: ClusterMembership;
  leadership: Leadership;
  replication: Replication;
  verification: Verification;
  store: ConfigStore;
  bus: Bus;
}

/**
 * What `GET /health` of a node says: who it is and where it stands, and each thing that it needs by name. It is ready
 * when it holds a state to serve and is not about to stop; a node that is slow, behind, or cut from database or bus
 * still answers reads, and says so apart.
 */
export function addNodeReadiness(readiness: Readiness, parts: NodeReadinessParts): void {
  const { host, membership, leadership, replication, verification, store, bus } = parts;
  readiness.describe(() => ({
    nodeId: host.nodeId,
    incarnation: membership.incarnation,
    version: host.replica.version,
    lag: replication.lag,
    eventLoopP99Ms: membership.eventLoopP99Ms,
    overloaded: membership.overloaded,
  }));
  const required = { required: true };
  const shown = { required: false };
  const state = () => ({ ok: host.replica.clusterId !== null, version: host.replica.version });
  readiness.add('state', state, required);
  readiness.add('serving', () => ({ ok: membership.condition !== 'stopping' }), required);
  const position = () => {
    const { condition } = membership;
    const { verified } = verification;
    return { ok: condition === 'ok', condition, verified, role: leadership.role, lag: replication.lag };
  };
  readiness.add('replica', position, shown);
  const load = () => ({ ok: !membership.overloaded, eventLoopP99Ms: membership.eventLoopP99Ms });
  readiness.add('load', load, shown);
  readiness.add('storage', () => ({ ok: store.available() }), shown);
  readiness.add('bus', () => ({ ok: bus.connected }), shown);
}
