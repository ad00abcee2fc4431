import { checksumOf } from './chain.js';
import { bucketOf } from './digest/digest.js';
import type { UnknownDigest } from './digest/digest-history.js';
import type { KeySpace } from './digest/key-space.js';
import { entryWithOwnMemory } from './digest/own-memory.js';
import type { Entry } from './entry.js';

/** What a key is at a version, by somebody who knows: the entry, or that there is none. */
export interface KeyTruth {
  namespace: string;
  key: string;
  entry: Entry | undefined;
}

/** An entry as it was found: the checksum is that of its bytes, whatever it says of itself. */
export interface FoundEntry {
  version: number;
  contentType: string;
  checksum: string;
}

export interface RepairedKey {
  namespace: string;
  key: string;
  /** `newer`: changed after the version of the truth, and left alone. `equal`: nothing was wrong. */
  outcome: 'repaired' | 'newer' | 'equal';
  before: FoundEntry | null;
  after: FoundEntry | null;
}

/** Why the truth cannot be applied: besides the usual, its history is another one. */
export type NotRepaired = UnknownDigest | 'other-chain';

/**
 * Puts the truth of `version` where something else stands. Undo records reach back to that version, so that they say
 * for certain whether a key was changed since: of such a key the truth of then says nothing.
 */
export function repairKeys(space: KeySpace, version: number, truths: readonly KeyTruth[]): RepairedKey[] {
  const buckets = new Set<number>();
  const done = truths.map(({ namespace, key, entry }): RepairedKey => {
    const before = found(space.get(namespace, key));
    const after = found(entry);
    if (space.changedAfter(namespace, key, version))
      return { namespace, key, outcome: 'newer', before, after: before };
    if (isSame(before, after)) return { namespace, key, outcome: 'equal', before, after };
    space.repair(namespace, key, entry && entryWithOwnMemory(entry));
    buckets.add(bucketOf(namespace, key));
    return { namespace, key, outcome: 'repaired', before, after };
  });
  for (const bucket of buckets) space.rebuildDigest(bucket);
  return done;
}

function found(entry: Entry | undefined): FoundEntry | null {
  if (entry === undefined) return null;
  return { version: entry.version, contentType: entry.contentType, checksum: checksumOf(entry.value) };
}

function isSame(a: FoundEntry | null, b: FoundEntry | null): boolean {
  return a?.version === b?.version && a?.contentType === b?.contentType && a?.checksum === b?.checksum;
}
