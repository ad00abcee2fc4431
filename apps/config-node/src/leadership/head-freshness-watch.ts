import type { Clock } from '#libs/kernel';
import { HeadFreshness, LOOK_EVERY_MS } from '../domain/head-freshness.js';

/** Looks whether this process was stalled, and asks the bus when it was. */
export class HeadFreshnessWatch {
  private freshness: HeadFreshness;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly clock: Clock,
    /** A round trip to the bus; ends also when the connection does, and with it what waited there. */
    private readonly roundTrip: () => Promise<void>,
  ) {
    this.freshness = new HeadFreshness(clock.monotonicMs());
  }

  start(): void {
    this.freshness = new HeadFreshness(this.clock.monotonicMs());
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** As of when a head that has just come was right, by the monotonic clock; undefined = not to be told. */
  asOf(confirmedAgoMs: number | null | undefined): number | undefined {
    this.look();
    return this.freshness.asOf(confirmedAgoMs);
  }

  private look(): void {
    const { freshness } = this;
    if (!freshness.look(this.clock.monotonicMs())) return;
    const answered = () => freshness.answered();
    this.roundTrip().then(answered, answered);
  }
}
