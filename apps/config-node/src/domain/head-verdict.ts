/** How a node's history relates to the one that the database's head tells of. */
export type HeadVerdict =
  /** The same history to the same version. */
  | 'level'
  /** Head is further on. */
  | 'behind'
  /** Another history, or head is below what this node holds: the database lost what was acknowledged. */
  | 'diverged'
  /** Another cluster's database, or one that lost more than a tail: nothing may be discarded for it. */
  | 'wrong-database';

export interface OwnHistory {
  /** Null = belongs to no cluster yet. */
  clusterId: string | null;
  /** Version when head was asked for: it may have grown since, and head with it. */
  versionAtAsking: number;
  version: number;
  chainAt(version: number): string | undefined;
}

export interface HeadOfDatabase {
  clusterId: string;
  version: number;
  chain: string;
}

/** Judges what a read of `config.head` says of this node's own history. */
export function judgeHead(own: OwnHistory, head: HeadOfDatabase, maxLostTail: number): HeadVerdict {
  if (own.clusterId !== null && own.clusterId !== head.clusterId) return 'wrong-database';
  if (head.version < own.versionAtAsking - maxLostTail) return 'wrong-database';
  if (head.version < own.versionAtAsking) return 'diverged';
  if (head.version > own.version) return 'behind';
  const known = own.chainAt(head.version);
  if (known !== undefined && known !== head.chain) return 'diverged';
  return 'level';
}
