/** What stands at a key. Immutable: a later change makes a new one, so that a reference is a snapshot. */
export interface Entry {
  readonly namespace: string;
  readonly key: string;
  readonly value: Buffer;
  readonly contentType: string;
  /** Version of the change that put it. */
  readonly version: number;
  readonly checksum: string;
  /** Time of that change, by the database's clock. */
  readonly updatedAt: string;
}

/** Where a history stands, and whose it is. */
export interface LogPosition {
  clusterId: string | null;
  version: number;
  chain: string;
  term: number;
}
