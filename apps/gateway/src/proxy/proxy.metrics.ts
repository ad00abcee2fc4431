import type { Metrics } from '#libs/observability';

/** What passes through the gateway. */
export class ProxyMetrics {
  private readonly readSeconds: (status: number, seconds: number) => void;
  private readonly writeSeconds: (outcome: string, seconds: number) => void;
  readonly readRetried: () => void;
  readonly readHedged: () => void;
  readonly writeRetried: () => void;

  constructor(private readonly metrics: Metrics) {
    const reads = metrics.histogram('gateway_read_seconds', 'Time to answer a read, by class of status', [
      'status',
    ]);
    const byClass = [1, 2, 3, 4, 5].map((digit) => reads.labels({ status: `${digit}xx` }));
    this.readSeconds = (status, seconds) => byClass[Math.floor(status / 100) - 1]?.observe(seconds);
    const writes = metrics.histogram(
      'gateway_write_seconds',
      'Time to answer a write, waits for a leader included',
      ['outcome'],
    );
    this.writeSeconds = (outcome, seconds) => writes.observe({ outcome }, seconds);
    const readRetries = metrics.counter(
      'gateway_read_retries_total',
      'Reads that were asked of a further node',
    );
    this.readRetried = () => readRetries.inc();
    const hedges = metrics.counter(
      'gateway_read_hedges_total',
      'Reads that were asked of a second node because the first took long',
    );
    this.readHedged = () => hedges.inc();
    const writeRetries = metrics.counter(
      'gateway_write_retries_total',
      'Attempts of writes beyond the first',
    );
    this.writeRetried = () => writeRetries.inc();
  }

  readDone(status: number, seconds: number): void {
    this.readSeconds(status, seconds);
  }

  /** `outcome`: the status of the answer passed on, or the code of a refusal made here. */
  writeDone(outcome: string, seconds: number): void {
    this.writeSeconds(outcome, seconds);
  }

  watchReads(size: () => number): void {
    this.metrics.gauge('gateway_reads_under_way', 'Reads that are being answered', [], (g) => g.set(size()));
  }

  watchWrites(held: () => number, parked: () => number): void {
    this.metrics.gauge('gateway_writes_under_way', 'Writes that are not answered yet', [], (g) =>
      g.set(held()),
    );
    this.metrics.gauge('gateway_writes_parked', 'Writes that wait for a leader', [], (g) => g.set(parked()));
  }
}
