import { LatencyQuantile, withinShare } from '#libs/balancer';

const QUANTILE = 0.95;
/** A timer is not finer than this, and an answer that comes within it is not worth a second question. */
const MIN_DELAY_MS = 2;
const MIN_SAMPLES = 100;
const LOOK_EVERY = 64;

/**
 * Hedged reads (Dean and Barroso, The Tail at Scale): a read that takes longer than nineteen in twenty is asked of a
 * second node as well, and the first answer counts. When all nodes are slow that would be every read: so no more than
 * a fifth of what is under way is asked twice.
 */
export class Hedging {
  private readonly latencies = new LatencyQuantile();
  private underWay = 0;
  private delay: number | undefined;
  private untilLook = MIN_SAMPLES;

  constructor(public enabled: boolean) {}

  /** After which time a read is asked again; undefined = never. */
  get delayMs(): number | undefined {
    return this.enabled ? this.delay : undefined;
  }

  answeredAfter(ms: number): void {
    if (!this.enabled) return;
    this.latencies.record(ms);
    this.untilLook -= 1;
    if (this.untilLook > 0) return;
    this.untilLook = LOOK_EVERY;
    this.delay = Math.max(MIN_DELAY_MS, this.latencies.quantile(QUANTILE) ?? MIN_DELAY_MS);
  }

  /** @param active requests under way */
  mayBegin(active: number): boolean {
    return this.enabled && withinShare(this.underWay, active);
  }

  began(): void {
    this.underWay += 1;
  }

  ended(): void {
    this.underWay -= 1;
  }
}
