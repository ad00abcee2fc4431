import type { Metrics } from '#libs/observability';

/** What comparing and recomputing the digest found. */
export class DigestMetrics {
  readonly comparisons;
  readonly scrubMismatches;
  readonly scrubRounds;

  constructor(metrics: Metrics) {
    this.comparisons = metrics.counter(
      'digest_comparisons_total',
      'Comparisons of this node with others before it counts as healthy, by outcome',
      ['outcome'],
    );
    this.scrubMismatches = metrics.counter(
      'digest_scrub_mismatches_total',
      'Values and buckets that were found altered at rest, again in every round',
      ['kind'],
    );
    this.scrubRounds = metrics.counter(
      'digest_scrub_rounds_total',
      'Times that the digest was computed anew from the whole state',
    );
  }
}
