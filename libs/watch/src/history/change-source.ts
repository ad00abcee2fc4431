import type { Change, PutOperation } from '#libs/contracts';
import type { ResetReason } from '../domain/watch-cursor.js';

/** Where a hub gets changes from: a node's replica, or the copy of the log that a gateway follows. */
export interface ChangeSource {
  /** The end of the log here: the highest version that was told through `onChanges` or `onReset`. */
  readonly version: number;
  /** From memory, in order and without a gap: the changes above `after`; `older` when memory does not reach back so far. */
  recent(after: number, limit: number, maxBytes: number): readonly Change[] | 'older';
  /**
   * A page from wherever the whole log is kept, with `after` 0 meaning the oldest that is. `compacted` = what follows `after` is gone for
   * good. Throws a Problem when it cannot be read at present.
   */
  older(query: LogQuery): Promise<LogPage | 'compacted'>;
  /**
   * The version at which the cluster's history ends, learnt by a question that begins now; undefined when that cannot be
   * known at present. A version beyond it is of a history that is no more.
   */
  newestVersion(): Promise<number | undefined>;
  /** The values of a prefix as they are at `atVersion`, from memory, in the order of their keys. */
  present(query: PresentQuery): Promise<PresentPage | 'expired'>;
  /** Told of changes as they are applied: in order, without a gap. */
  onChanges(listener: (changes: readonly Change[]) => void): () => void;
  /** Told when the log here was replaced as a whole and now ends at `version`. */
  onReset(listener: (reset: SourceReset) => void): () => void;
}

export interface LogQuery {
  after: number;
  limit: number;
  maxBytes: number;
  /** Only changes that touch one of these need to be there, and only their operations. */
  namespaces: readonly string[];
}

/** Changes in order, complete up to and with version `through` as far as the namespaces asked for are concerned. */
export interface LogPage {
  changes: readonly Change[];
  through: number;
}

export interface SourceReset {
  version: number;
  reason: ResetReason;
}

export interface PresentQuery {
  namespace: string;
  prefix: string;
  /** The last key of the page before. */
  after: string | undefined;
  atVersion: number;
  limit: number;
  maxBytes: number;
}

export interface PresentPage {
  entries: readonly PresentEntry[];
  more: boolean;
}

/** A value as it stands: the put that made it, and which version that was. */
export type PresentEntry = Omit<PutOperation, 'op'> & { version: number; updatedAt: string };
