/** What stands at a key, or should. The checksum is that of the bytes, not one that a row says of itself. */
export interface KeyContent {
  version: number;
  contentType: string;
  checksum: string;
}

/** A key of which `config.entries` is not what the log says. `null`: nothing stands there. */
export interface WrongKey {
  /** By the last operation of the key in the log; 'unproven' when the log has none and its beginning was removed. */
  logged: KeyContent | null | 'unproven';
  entry: KeyContent | null;
  /** In the leader's memory, at the same version. */
  replica: KeyContent | null;
}

/**
 * `scrub`: the entry is set right from the log. `log-damaged`: the log lost or altered the operation, nothing is repaired.
 * `undecided`: all three differ. `compacted`: nothing proves what is right. `too-many`: it would be set right, but so
 * many were that an operator is to look first.
 */
export type EntryVerdict = 'scrub' | 'log-damaged' | 'undecided' | 'compacted' | 'too-many';

/**
 * Which of two records is damaged is said by a third: the replica, which the leader built from the history that it
 * checked by its chain. Example: k was put at 5 and again at 9, and the row of the second operation is lost. The log
 * says k@5; the entry and the replica say k@9. To "repair" the entry would be to lose what was acknowledged.
 */
export function judgeEntry({ logged, entry, replica }: WrongKey): Exclude<EntryVerdict, 'too-many'> {
  if (logged === 'unproven') return 'compacted';
  if (isSameContent(replica, logged)) return 'scrub';
  return isSameContent(replica, entry) ? 'log-damaged' : 'undecided';
}

function isSameContent(a: KeyContent | null, b: KeyContent | null): boolean {
  if (a === null || b === null) return a === b;
  return a.version === b.version && a.contentType === b.contentType && a.checksum === b.checksum;
}
