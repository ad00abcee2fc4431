import type { KeyState } from '#libs/contracts';
import type { KeyName } from '../comparison/pin.js';

/**
 * What a key is at the pinned version. `unknown`: nobody can say any more. By `row`: by that of `config.entries` alone,
 * which may itself be the damaged one. `disputed`: log and entries do not say the same about the key as it is now, so one
 * of them is damaged: a node that says what the log says is right, of any other nobody can say.
 */
export type ReferenceEntry =
  | { state: 'present'; expected: KeyState; by: 'log' | 'row'; disputed?: true }
  | { state: 'absent'; disputed?: true }
  | { state: 'unknown' };

/** What the database has of a key. */
export interface KeyRows extends KeyName {
  /** The last operation at or below the pinned version; a delete has no state. */
  logged: { version: number; state: KeyState | null } | null;
  /** The last operation of all. */
  latest: { version: number; state: KeyState | null } | null;
  /** The row of `config.entries`, which may be of a later version. */
  entry: KeyState | null;
}

/**
 * The log decides. Where it has nothing of a key up to the version, the key did not exist then, if the log is whole. If
 * it is compacted, the entries row tells, when it is not younger than the version; without one nobody can say.
 */
export function truthOf(rows: KeyRows, version: number, logIsWhole: boolean): ReferenceEntry {
  const { logged, latest, entry } = rows;
  const disputed = isSameOrNone(latest?.state ?? null, entry) ? {} : { disputed: true as const };
  if (logged !== null) {
    return logged.state === null
      ? { state: 'absent', ...disputed }
      : { state: 'present', expected: logged.state, by: 'log', ...disputed };
  }
  if (logIsWhole) return { state: 'absent', ...disputed };
  return entry !== null && entry.version <= version
    ? { state: 'present', expected: entry, by: 'row' }
    : { state: 'unknown' };
}

/** A row that no replica agrees with proves nothing against all of them. */
export function witnessed(truth: ReferenceEntry, listed: readonly KeyState[]): ReferenceEntry {
  if (truth.state !== 'present' || truth.by === 'log') return truth;
  return listed.some((state) => isSameState(state, truth.expected)) ? truth : { state: 'unknown' };
}

function isSameOrNone(a: KeyState | null, b: KeyState | null): boolean {
  return a === null || b === null ? a === b : isSameState(a, b);
}

export function isSameState(a: KeyState, b: KeyState): boolean {
  return a.version === b.version && a.contentType === b.contentType && a.checksum === b.checksum;
}
