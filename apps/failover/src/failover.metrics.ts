import { Injectable } from '@nestjs/common';
import type { LeaderElected } from '#libs/contracts';
import { Metrics } from '#libs/observability';

const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

@Injectable()
export class FailoverMetrics {
  readonly verdicts;
  readonly suspicions;
  readonly withoutCandidate;
  private readonly elections;
  private readonly detectSeconds;
  private readonly electSeconds;

  constructor(metrics: Metrics) {
    this.verdicts = metrics.counter('failover_verdicts_total', 'Verdicts given', ['verdict', 'reason']);
    this.suspicions = metrics.counter('failover_suspicions_total', 'Suspicions, by what became of them', [
      'reason',
      'outcome',
    ]);
    this.withoutCandidate = metrics.counter(
      'failover_no_candidate_total',
      'Attempts that found nobody able to lead',
    );
    this.elections = metrics.counter('failover_elections_total', 'Elections won by this instance', [
      'reason',
    ]);
    this.detectSeconds = metrics.histogram(
      'failover_detect_seconds',
      'First evidence to verdict',
      [],
      SECONDS,
    );
    this.electSeconds = metrics.histogram('failover_elect_seconds', 'Verdict to claim', [], SECONDS);
  }

  elected({ reason, timings }: LeaderElected): void {
    this.elections.inc({ reason });
    this.detectSeconds.observe(timings.detectMs / 1_000);
    this.electSeconds.observe(timings.electMs / 1_000);
  }
}
