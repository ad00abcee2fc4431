/** A server that takes writes, and how new its history is. */
export interface WritableServer<H> {
  host: H;
  /** Of its write-ahead log: a promotion begins the next one. */
  timeline: number;
  /** Of `config.head`; 0 when there is none. */
  term: number;
}

export type PrimaryChoice<H> =
  | { type: 'primary'; server: WritableServer<H>; others: readonly WritableServer<H>[] }
  | { type: 'refused'; why: 'none' | 'older-timeline' | 'disagree'; others: readonly WritableServer<H>[] };

/**
 * Which of the servers that take writes is the primary. An old one that came back without a fence is of an earlier
 * timeline and not of a later term. Where timeline and term do not say the same, both sides were written to: whichever
 * is taken, something acknowledged is lost, so that nothing is until an operator has stopped one of them.
 *
 * @param knownTimeline the highest that this process has used: what is older was replaced, also while it alone answers
 */
export function choosePrimary<H>(
  servers: readonly WritableServer<H>[],
  knownTimeline: number,
): PrimaryChoice<H> {
  const [newest, ...others] = servers.toSorted((a, b) => b.timeline - a.timeline || b.term - a.term);
  if (newest === undefined) return { type: 'refused', why: 'none', others: [] };
  if (newest.timeline < knownTimeline) return { type: 'refused', why: 'older-timeline', others: servers };
  const isNewest = others.every(
    ({ timeline, term }) =>
      newest.timeline >= timeline &&
      newest.term >= term &&
      (newest.timeline > timeline || newest.term > term),
  );
  return isNewest
    ? { type: 'primary', server: newest, others }
    : { type: 'refused', why: 'disagree', others: servers };
}
