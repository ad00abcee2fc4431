/** Bounds of the public interface. */
export const LIMITS = {
  valueBytes: 1024 * 1024,
  changeSetBytes: 4 * 1024 * 1024,
  changeSetOperations: 1_000,
  /**
   * JSON bodies of change sets: any 4 MiB of values fit as base64 (a third more), not any with JSON escapes (up to
   * six times as much). More would keep the leader's event loop busy with one body for a third of a second.
   */
  changeSetBodyBytes: 8 * 1024 * 1024,
  keyBytes: 512,
  namespaceChars: 63,
  metadataBytes: 1_024,
  idempotencyKeyBytes: 256,
  listItems: 1_000,
  listItemsDefault: 100,
  listPageBytes: 4 * 1024 * 1024,
  watchesPerStream: 100,
  /** Request line and headers: 100 watches of the longest namespaces and prefixes, percent-encoded, and 16 KiB of headers. */
  requestHeadBytes: 100 * (3 * 512 + 63 + 8) + 16 * 1024,
  /** Longest wait of one long poll. */
  watchWaitMaxMs: 60_000,
  minVersionWaitMs: 5_000,
  minVersionWaitMaxMs: 30_000,
  /** Reads that may wait for a version or for the head at once, at each node and each gateway. */
  waitingReads: 1_024,
  windowVersions: 100_000,
  windowBytes: 64 * 1024 * 1024,
  /** A `sync.changes` message carries operations up to this size; larger ones carry only the head. */
  broadcastBytes: 256 * 1024,
  batchChanges: 256,
  batchBytes: 4 * 1024 * 1024,
  /** A page of the log between processes has at most so many changes. */
  pageChanges: 1_000,
  /** What an operation counts in a page of the log beside its key and value. */
  loggedOperationBytes: 128,
} as const;
