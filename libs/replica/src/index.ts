export { type ChainedContent, chainAfter, checksumOf, GENESIS_CHAIN } from './chain.js';
export type { WindowBounds } from './change-window.js';
export type { Entry, Position } from './entry.js';
export { type ApplyResult, type ListPage, type ListQuery, Replica, StateBuilder } from './replica.js';
export {
  encodeSnapshot,
  type PinnedState,
  pinState,
  SnapshotDamaged,
  SnapshotDecoder,
  type SnapshotHeader,
} from './snapshot.js';
