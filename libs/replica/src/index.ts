export { type ChainedContent, chainAfter, checksumOf, GENESIS_CHAIN } from './chain.js';
export type { WindowBounds } from './change-window.js';
export { BUCKET_PARTS, PartDigests, partOf } from './digest/bucket-parts.js';
export {
  bucketOf,
  CUT_BYTES,
  DIGEST_BUCKETS,
  DIGEST_FORMAT,
  type DigestedEntry,
  StateDigest,
} from './digest/digest.js';
export type { DigestPoint, UnknownDigest } from './digest/digest-history.js';
export {
  type HistoryMark,
  HistoryReplaced,
  type WalkedKey,
  type WalkSource,
  walkPinned,
} from './digest/pinned-walk.js';
export { Scrub, type ScrubFinding, type ScrubStep } from './digest/scrub.js';
export type { Entry, LogPosition } from './entry.js';
export type { FoundEntry, KeyTruth, NotRepaired, RepairedKey } from './repair.js';
export {
  type ApplyResult,
  type BucketDigests,
  type ListPage,
  type ListQuery,
  type PinnedBucket,
  Replica,
  StateBuilder,
} from './replica.js';
export {
  encodeSnapshot,
  type PinnedState,
  pinState,
  SnapshotDamaged,
  SnapshotDecoder,
  type SnapshotHeader,
  type StateHash,
} from './snapshot.js';
