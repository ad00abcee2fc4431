import { LATENCY_BUCKETS_S, type Metrics } from '#libs/observability';

const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** What a leader's committing shows. */
export class PublisherMetrics {
  readonly committed;
  readonly refused;
  readonly failures;
  readonly unknownOutcomes;
  readonly batchSize;
  readonly commitSeconds;

  constructor(private readonly metrics: Metrics) {
    this.committed = metrics.counter('changes_committed_total', 'Changes that this node committed');
    this.refused = metrics.counter('writes_refused_total', 'Writes that were refused, by code', ['code']);
    this.failures = metrics.counter('commit_failures_total', 'Statements of the leader that failed', [
      'failure',
    ]);
    this.unknownOutcomes = metrics.counter(
      'commit_outcomes_unknown_total',
      'Batches whose outcome was unknown',
    );
    this.batchSize = metrics.histogram('batch_changes', 'Changes in one commit', [], BATCH_BUCKETS);
    this.commitSeconds = metrics.histogram('commit_seconds', 'Time of one commit', [], LATENCY_BUCKETS_S);
  }

  watchQueue(read: () => number): void {
    this.metrics.gauge('write_queue_length', 'Writes that wait for a batch', [], (gauge) =>
      gauge.set(read()),
    );
  }
}
