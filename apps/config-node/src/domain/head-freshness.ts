/** How often somebody has to look. */
export const LOOK_EVERY_MS = 200;
/** A look that comes later than this: the process was stalled. */
const STALLED_MS = 300;

/**
 * As of when a head that is told on the bus was right.
 *
 * - A leader that is cut off from the database goes on telling its head: it counts from when the database last
 *   confirmed that the leader leads, which it says with it.
 * - What was told while this process was stalled waits at its door, and comes all at once when it wakes: how old it is,
 *   nobody knows. The bus keeps its order, so what comes after the answer to a question asked on waking is news again.
 *
 * Pure: told the time, by this process's monotonic clock in ms.
 */
export class HeadFreshness {
  private doubts = 0;

  constructor(private seenAtMs: number) {}

  /** True: the process was stalled, and the bus is to be asked. `answered` is called when it has answered, or ended. */
  look(nowMs: number): boolean {
    const lateMs = nowMs - this.seenAtMs - LOOK_EVERY_MS;
    this.seenAtMs = nowMs;
    if (lateMs <= STALLED_MS) return false;
    this.doubts++;
    return true;
  }

  /** A question that was asked on waking is over. */
  answered(): void {
    this.doubts--;
  }

  /**
   * Right after a look. Undefined = not to be told.
   * @param confirmedAgoMs as the leader told it: null, nothing confirms it (it is no leader any more); absent from
   *   leaders of releases that do not tell, which are believed
   */
  asOf(confirmedAgoMs: number | null | undefined): number | undefined {
    if (this.doubts > 0 || confirmedAgoMs === null) return undefined;
    return this.seenAtMs - (confirmedAgoMs ?? 0);
  }
}
