import type { Change } from '#libs/contracts';
import type { HeadRow, HistoryItem, NamespacePage, StoredEntry } from '../domain/log.types.js';

interface NamespacePageQuery {
  after: number;
  limit: number;
  maxBytes?: number;
}

/** The change log in the database, as the ChangeLog of the store reads it. */
export interface StoredLog {
  changesAfter(version: number, limit: number, maxBytes: number): Promise<Change[] | 'compacted'>;
  changesIn(namespace: string, page: NamespacePageQuery): Promise<Change[] | 'compacted'>;
  retainedAfter(version: number, limit: number, maxBytes: number): Promise<Change[] | 'compacted'>;
  retainedTouching(
    namespaces: readonly string[],
    page: NamespacePageQuery,
  ): Promise<NamespacePage | 'compacted'>;
  /** The oldest version that is retained, of all and of one namespace. */
  floor(): Promise<number>;
  floorOf(namespace: string): Promise<number>;
  history(
    namespace: string,
    key: string,
    page: { limit: number; before?: number | undefined },
  ): Promise<HistoryItem[]>;
  valueAt(namespace: string, key: string, version: number): Promise<StoredEntry | 'compacted' | undefined>;
}

/**
 * What requests may read of the database. The routes know this and not the store: no request writes past the committer,
 * and none takes the connections that commits need.
 */
export interface StoredHistory {
  readonly log: StoredLog;
  /** The head after a write that must commit as a batch does: the base of linearizable reads. */
  barrier(): Promise<HeadRow>;
  /** The head as the primary shows it. A demoted primary may answer too. */
  readHead(): Promise<HeadRow>;
}
