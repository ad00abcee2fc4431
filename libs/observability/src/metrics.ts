import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type { Registry };

/** Reads take well under a millisecond: the usual first bucket of 5 ms would hide all of them. */
export const LATENCY_BUCKETS_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** The metrics of one process: names get the prefix `holdfast_`, the service is a label of all. */
export class Metrics {
  readonly registry = new Registry();

  constructor(service: string, node: string) {
    this.registry.setDefaultLabels({ service, node });
    collectDefaultMetrics({ register: this.registry, prefix: 'holdfast_' });
  }

  /** With `collect` what was counted elsewhere is read when it is scraped. */
  counter<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect?: (counter: Counter<L>) => void,
  ): Counter<L> {
    return new Counter({
      name: `holdfast_${name}`,
      help,
      labelNames,
      registers: [this.registry],
      ...(collect
        ? {
            collect() {
              this.reset();
              collect(this);
            },
          }
        : {}),
    });
  }

  /** With `collect` the value is read when it is scraped, not kept up to date. */
  gauge<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect?: (gauge: Gauge<L>) => void,
  ): Gauge<L> {
    return new Gauge({
      name: `holdfast_${name}`,
      help,
      labelNames,
      registers: [this.registry],
      ...(collect
        ? {
            collect() {
              collect(this);
            },
          }
        : {}),
    });
  }

  histogram<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    buckets: number[] = LATENCY_BUCKETS_S,
  ): Histogram<L> {
    return new Histogram({ name: `holdfast_${name}`, help, labelNames, buckets, registers: [this.registry] });
  }
}
