import type { Change, Problem } from '#libs/contracts';
import type { BatchChange, Fence, HeadState } from '../log.types.js';
import type { OutcomeOperation, WriteOutcome, WriteRequest } from './write.js';

/** What the database remembers of a request. */
export interface StoredAnswer {
  requestHash: Buffer | null;
  change: Pick<Change, 'version' | 'term' | 'createdAt'> & { operations: OutcomeOperation[] };
  created: boolean[];
}

/** A change of the log, as far as the fate of a batch depends on it. */
export interface LoggedChange {
  chain: string;
  /** One statement, one time: that of the whole batch. */
  createdAt: string;
}

/**
 * How a statement failed. `unavailable`: certainly never sent, nobody is there. `refused`: the database refused it, no
 * effect (a lock that did not come in time). `data`: refused for what was sent. `unknown`: it may have taken effect, or
 * may yet.
 */
export type StatementFailure = 'unavailable' | 'refused' | 'data' | 'unknown';

export type CommitterInput =
  | { type: 'submit'; ticket: number; request: WriteRequest }
  /** Nobody waits for this ticket any more. */
  | { type: 'cancel'; ticket: number }
  /** Head names this node, whose replica equals head. `lostTo`: highest version that any node holds beyond head. */
  | { type: 'lead'; fence: Fence; lostTo: number | null }
  | { type: 'step-down'; why: StepDownReason }
  /** Takes no more writes until then, and tells when those that it took are done. */
  | { type: 'pause'; untilMs: number }
  | { type: 'tick' }
  // Answers to the statement under way.
  | { type: 'committed'; createdAt: string }
  | { type: 'fenced' }
  | { type: 'confirmed'; holds: boolean }
  | { type: 'bumped'; head: Pick<HeadState, 'version' | 'chain' | 'attempt'> | undefined }
  | { type: 'head'; head: HeadState }
  | { type: 'log'; next: LoggedChange | undefined }
  | { type: 'failed'; failure: StatementFailure; message: string }
  // Answers to a look-up of keys, which goes on beside the other statements.
  | { type: 'looked-up'; id: number; found: ReadonlyMap<string, StoredAnswer> }
  | { type: 'look-up-failed'; id: number; failure: StatementFailure; message: string };

/** Why a leader gave up its term. */
export type StepDownReason =
  /** Head names another leader, term or incarnation. */
  | 'deposed'
  /** Head names this node, but stands where its history does not lead. */
  | 'history-differs'
  /** Its state is not what its history makes. */
  | 'state-damaged'
  /** The process stops. */
  | 'stopping';

export type CommitterAction =
  | { type: 'answer'; ticket: number; outcome: WriteOutcome }
  | { type: 'refuse'; ticket: number; problem: Problem }
  /** 421 with the leader's address, which the shell knows. */
  | { type: 'not-leader'; ticket: number }
  | { type: 'commit'; fence: Fence; batch: BatchChange[]; version: number; chain: string }
  | { type: 'confirm'; fence: Fence }
  /** Kills a statement of unknown outcome that may still be under way. */
  | { type: 'bump'; fence: Fence }
  | { type: 'read-head' }
  /** Asks for the first change after a version. */
  | { type: 'read-log'; after: number }
  | { type: 'look-up'; id: number; keys: string[] }
  /** In memory and answered: to be told to watchers and other nodes. */
  | { type: 'applied'; changes: Change[] }
  /** A statement begun at `sentAtMs` found the fence as it should be. */
  | { type: 'fence-confirmed'; sentAtMs: number }
  | { type: 'stepped-down'; why: StepDownReason; head: HeadState | undefined }
  /** Paused, and everything taken before is done. */
  | { type: 'drained' };
