/** Of the reads that are the first on their connection, so many a second may go to the leader. */
const PER_SECOND = 200;
const BURST = 50;
/** So many of them may be under way at the leader: one that is slow is no longer asked for their sake. */
const AT_ONCE = 8;

/**
 * A client that writes with one connection and reads with the next (`curl` twice) may meet two gateways, of which the
 * second has not heard of the write. The first read of a connection is therefore answered by the leader, which has
 * applied every write that anybody acknowledged. The share is bounded: clients that connect for every read are many
 * where they matter, and the leader is one.
 */
export class FirstReads {
  private tokens = BURST;
  private filledMs = 0;
  private underWay = 0;
  private readonly known = new WeakSet<object>();

  /** Whether this read, on this connection, goes to the leader for being its first. */
  isFirst(connection: object): boolean {
    if (this.known.has(connection)) return false;
    this.known.add(connection);
    return true;
  }

  /** Takes one of the places there are, if it is to be had; `ended` gives it back. */
  mayAskLeader(nowMs: number): boolean {
    if (this.underWay >= AT_ONCE) return false;
    this.tokens = Math.min(BURST, this.tokens + ((nowMs - this.filledMs) * PER_SECOND) / 1_000);
    this.filledMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    this.underWay += 1;
    return true;
  }

  /** A read that was allowed to go to the leader has ended. */
  ended(): void {
    this.underWay -= 1;
  }
}
