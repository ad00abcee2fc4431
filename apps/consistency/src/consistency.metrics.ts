import { Injectable } from '@nestjs/common';
import { CONSISTENCY_RESULTS, type ConsistencyResult } from '#libs/contracts';
import { Metrics } from '#libs/observability';

/** The last comparison with the state in the database. */
export interface LatestTruth {
  version: number;
  agoMs: number;
}

@Injectable()
export class ConsistencyMetrics {
  readonly rounds;
  readonly roundSeconds;
  readonly differences;
  readonly repairs;
  readonly troubles;
  readonly truths;
  readonly truthSeconds;

  constructor(private readonly metrics: Metrics) {
    this.rounds = metrics.counter('consistency_rounds_total', 'Rounds of checks, by outcome', ['outcome']);
    this.roundSeconds = metrics.histogram('consistency_round_seconds', 'Time that a round took', []);
    this.differences = metrics.counter('consistency_differences_total', 'Differences found', ['class']);
    this.repairs = metrics.counter('consistency_repairs_total', 'What became of repairs', [
      'place',
      'outcome',
    ]);
    this.truths = metrics.counter(
      'consistency_truth_nodes_total',
      'Nodes compared with a digest of the state in the database',
      ['outcome'],
    );
    this.truthSeconds = metrics.histogram(
      'consistency_truth_seconds',
      'Time that computing the digest of the state in the database took',
      [],
    );
    this.troubles = metrics.counter('consistency_troubles_total', 'What it went on without', ['what']);
  }

  watch(
    read: () => { counts: Record<ConsistencyResult, number>; bytes: number; truth: LatestTruth | undefined },
  ): void {
    this.metrics.gauge(
      'consistency_nodes',
      'Nodes of this instance, by what the last round found',
      ['result'],
      (gauge) => {
        const { counts } = read();
        for (const result of CONSISTENCY_RESULTS) gauge.set({ result }, counts[result]);
      },
    );
    const truthGauge = (name: string, help: string, figureOf: (latest: LatestTruth) => number) =>
      this.metrics.gauge(name, help, [], (gauge) => {
        const { truth } = read();
        if (truth !== undefined) gauge.set(figureOf(truth));
      });
    truthGauge(
      'consistency_truth_version',
      'Where this instance last compared nodes with the state in the database',
      ({ version }) => version,
    );
    truthGauge(
      'consistency_truth_age_seconds',
      'Time since this instance last compared nodes with the state in the database',
      ({ agoMs }) => agoMs / 1_000,
    );
    this.metrics.gauge('consistency_received_bytes', 'Bytes of the answers of nodes', [], (gauge) => {
      gauge.set(read().bytes);
    });
  }
}
