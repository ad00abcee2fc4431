import type { KeyName } from './pin.js';

/** What a round is to look into besides what it finds itself. */
export interface SuspectBuckets {
  buckets: ReadonlyMap<string, readonly number[]>;
  /** What the database has in those buckets: nodes may all lack it. */
  keys: readonly KeyName[];
}

export const NO_SUSPICION: SuspectBuckets = { buckets: new Map(), keys: [] };
