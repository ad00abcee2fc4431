import type { Clock } from '#libs/kernel';

const LOOK_EVERY_MS = 200;
/** A look that comes later than this: the process was stalled. */
const STALLED_MS = 300;

/**
 * As of when a head that is told on the bus was right.
 *
 * - A leader that is cut off from the database goes on telling its head: it counts from when the database last
 *   confirmed that the leader leads, which it says with it.
 * - What was told while this process was stalled waits at its door, and comes all at once when it wakes: how old it is,
 *   nobody knows. The bus keeps its order, so what comes after the answer to a question asked on waking is news again.
 */
export class HeadFreshness {
  private seenAtMs: number;
  private doubts = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly clock: Clock,
    /** A round trip to the bus; ends also when the connection does, and with it what waited there. */
    private readonly roundTrip: () => Promise<void>,
  ) {
    this.seenAtMs = clock.monotonicMs();
  }

  start(): void {
    this.seenAtMs = this.clock.monotonicMs();
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /**
   * By this process's monotonic clock, in ms; undefined = not to be told.
   * @param confirmedAgoMs as the leader told it; absent from leaders of versions that do not
   */
  asOf(confirmedAgoMs: number | null | undefined): number | undefined {
    this.look();
    return this.doubts === 0 ? this.seenAtMs - (confirmedAgoMs ?? 0) : undefined;
  }

  private look(): void {
    const nowMs = this.clock.monotonicMs();
    const lateMs = nowMs - this.seenAtMs - LOOK_EVERY_MS;
    this.seenAtMs = nowMs;
    if (lateMs <= STALLED_MS) return;
    this.doubts++;
    const over = () => {
      this.doubts--;
    };
    this.roundTrip().then(over, over);
  }
}
