/** A watch may name a version that is not committed yet: so few versions ahead, and for so long, it counts as early. */
export const EARLY = { versions: 100, forMs: 10_000 } as const;

/**
 * Whether a watch waits for a version of a history that is gone. `newest` is where the history ends, as the database said
 * after the watch began: a client can have seen a later version only if the database was restored to an earlier state, or
 * emptied. It would wait in silence until other changes reach its version, and miss them.
 */
export function isBeyondHistory(position: number, newest: number, waitedMs: number): boolean {
  const ahead = position - newest;
  return ahead > EARLY.versions || (ahead > 0 && waitedMs >= EARLY.forMs);
}
