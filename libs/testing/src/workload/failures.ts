export type Via = 'gateway' | 'direct';

/** An answer that a client did not want, with the moment, so that a test can say which were to be expected. */
export interface Failure {
  via: Via;
  what: 'write' | 'read' | 'linearizable-read' | 'list' | 'watch';
  client: string;
  code: string;
  at: number;
  tookMs: number;
}

/** Refusals that belong to the game: a condition that did not hold, a key that was not there. */
export const EXPECTED_REFUSALS: ReadonlySet<string> = new Set(['precondition-failed', 'key-not-found']);

export function describeFailures(failures: readonly Failure[]): string {
  const groups = Map.groupBy(failures, ({ via, what, code }) => `${via} ${what} ${code}`);
  return [...groups]
    .map(([group, all]) => {
      const slowest = Math.max(...all.map((failure) => failure.tookMs));
      return `${group}: ${all.length} (first ${all[0]?.client}, slowest ${slowest.toFixed(0)} ms)`;
    })
    .join('\n');
}
