import { NODE_ROLES } from '#libs/contracts';
import type { Metrics } from '#libs/observability';
import type { Leadership } from './leadership/leadership.js';
import type { ReplicaHost } from './replica/replica-host.js';
import type { Replication } from './replication/replication.js';

/** Where a node stands, read when the metrics are asked for. */
export class ConfigNodeMetrics {
  readonly stepDowns;

  constructor(metrics: Metrics, host: ReplicaHost, leadership: Leadership, replication: Replication) {
    const gauge = (name: string, help: string, read: () => number) =>
      metrics.gauge(name, help, [], (it) => it.set(read()));
    gauge('applied_version', 'Version that this node has applied', () => host.replica.version);
    gauge(
      'head_version',
      'Highest version that this node knows of',
      () => host.replica.version + replication.lag,
    );
    gauge('lag_versions', 'Versions that this node is behind', () => replication.lag);
    gauge('term', 'Highest term that this node knows of', () => host.term);
    gauge('stale', '1 while this node cannot tell whether it is up to date', () => (host.isStale() ? 1 : 0));
    gauge(
      'fence_confirmed_ago_seconds',
      'Leaders: since the database last confirmed them',
      () => (leadership.fenceConfirmedAgoMs ?? 0) / 1_000,
    );
    gauge('keys', 'Keys in all namespaces', () =>
      host.replica.namespaces().reduce((sum, { keys }) => sum + keys, 0),
    );
    metrics.gauge('role', '1 for the role that this node has', ['role'], (it) => {
      for (const role of NODE_ROLES) it.set({ role }, leadership.role === role ? 1 : 0);
    });
    this.stepDowns = metrics.counter('step_downs_total', 'Terms that this node gave up', ['why']);
    const resets = metrics.counter('state_loads_total', 'Times that the whole state was loaded', ['reason']);
    host.onReset(({ reason }) => resets.inc({ reason }));
  }
}
