import { Injectable } from '@nestjs/common';
import { Metrics } from '#libs/observability';

@Injectable()
export class SyncMetrics {
  readonly pushes;
  readonly changes;

  constructor(private readonly metrics: Metrics) {
    this.pushes = metrics.counter('sync_pushes_total', 'Batches pushed to nodes', ['outcome']);
    this.changes = metrics.counter('sync_pushed_changes_total', 'Changes in batches that nodes took');
  }

  watch(lags: () => { nodeId: string; lag: number }[]): void {
    this.metrics.gauge(
      'sync_lag_versions',
      'Versions that a node is behind the head',
      ['node_id'],
      (gauge) => {
        gauge.reset();
        for (const { nodeId, lag } of lags()) gauge.set({ node_id: nodeId }, lag);
      },
    );
  }
}
