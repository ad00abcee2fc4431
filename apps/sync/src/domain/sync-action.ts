import type { ReportedPosition } from './history-check.js';

/** What the planner wants done. Those with a ticket are tasks: what comes of them is reported with it. */
export type SyncAction =
  | { type: 'lagging'; nodeId: string; version: number; behindMs: number }
  | { type: 'level'; nodeId: string; version: number; laggedMs: number }
  | SyncTask;

export type SyncTask =
  /** Changes after the position, which the log must have first where `verify` says so. */
  | { type: 'push'; ticket: number; nodeId: string; after: ReportedPosition; limit: number; verify: boolean }
  /** The whole state. */
  | { type: 'load'; ticket: number; nodeId: string; position: ReportedPosition }
  /** It must read the head and find out by itself what it has to give up. */
  | { type: 'heal'; ticket: number; nodeId: string; position: ReportedPosition }
  /** Level with the head by number, with another chain: the log decides. */
  | { type: 'check'; ticket: number; nodeId: string; position: ReportedPosition };

/**
 * `busy` (429), `too-large` (413), `timed-out`: a smaller batch next time. `refused`: any other answer. `no-log`: the
 * database gave nothing.
 */
export type FailureReason =
  | 'busy'
  | 'too-large'
  | 'timed-out'
  | 'refused'
  | 'unreachable'
  | 'no-log'
  | 'stopped';

export interface SyncFailure {
  reason: FailureReason;
  /** The node asked to be left alone for so long. */
  retryAfterMs?: number | undefined;
}

export type SyncOutcome =
  /** The node stands within the batch, at a change of the log. */
  | { type: 'taken'; position: ReportedPosition; changes: number; changesPerSecond: number }
  /** It answered a position that only the log can judge, or no progress. */
  | { type: 'elsewhere'; position: ReportedPosition }
  | { type: 'loaded'; position: ReportedPosition; keysPerSecond: number }
  | { type: 'diverged'; position: ReportedPosition }
  /** It will look at the head. */
  | { type: 'told' }
  | { type: 'in-log' }
  /** The log does not go on where the node stands. */
  | { type: 'compacted' }
  | ({ type: 'failed' } & SyncFailure);
