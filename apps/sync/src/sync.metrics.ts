import { Injectable } from '@nestjs/common';
import { LAG_STATES } from '#libs/contracts';
import { Metrics } from '#libs/observability';
import type { SyncState } from './domain/sync-planner.js';

@Injectable()
export class SyncMetrics {
  readonly pushes;
  readonly changes;
  readonly snapshots;
  readonly divergences;
  readonly throttledSeconds;

  constructor(private readonly metrics: Metrics) {
    this.pushes = metrics.counter('sync_pushes_total', 'Batches pushed to nodes', ['outcome']);
    this.changes = metrics.counter('sync_pushed_changes_total', 'Changes in batches that nodes took');
    this.snapshots = metrics.counter('sync_snapshots_total', 'Whole states that nodes were told to load', [
      'outcome',
    ]);
    this.divergences = metrics.counter(
      'sync_divergences_total',
      'Histories of nodes that the log does not have',
    );
    this.throttledSeconds = metrics.counter(
      'sync_throttled_seconds_total',
      'Time that batches were held back',
    );
  }

  /** Of the nodes that this instance looks after. */
  watch(read: () => SyncState[]): void {
    const perNode = (name: string, help: string, value: (standing: SyncState) => number) =>
      this.metrics.gauge(name, help, ['node_id'], (gauge) => {
        gauge.reset();
        for (const standing of read()) gauge.set({ node_id: standing.nodeId }, value(standing));
      });
    perNode('sync_lag_versions', 'Versions that a node is behind the head', ({ lagVersions }) => lagVersions);
    perNode('sync_lag_seconds', 'For how long a node has missed a version', ({ lagMs }) => lagMs / 1_000);
    perNode('sync_batch_changes', 'Most changes in the next batch', ({ batchChanges }) => batchChanges);
    this.metrics.gauge('sync_nodes', 'Nodes by how far they are behind', ['state'], (gauge) => {
      const standings = read();
      for (const state of [...LAG_STATES, 'diverged'])
        gauge.set({ state }, standings.filter((standing) => standing.state === state).length);
    });
  }
}
