import type { Change, DeleteOperation, PutOperation } from '#libs/contracts';

/** Where the log ends and who may continue it. */
export interface HeadState {
  version: number;
  /** 64 hex digits. */
  chain: string;
  term: number;
  leaderId: string | null;
  incarnation: number;
  attempt: number;
}

/** `config.head`, the row of the sequencer. */
export interface HeadRow extends HeadState {
  clusterId: string;
}

/** Which key a request, or a finding, is about. */
export interface KeyAddress {
  namespace: string;
  key: string;
}

/** What head must say for a leader's statement to count. */
export interface Fence {
  term: number;
  leaderId: string;
  incarnation: number;
  attempt: number;
  version: number;
  chain: string;
}

export type WriteKind = 'put' | 'delete' | 'change-set' | 'rollback';

export type UncommittedChange = Omit<Change, 'createdAt'>;

/** One change of a batch, as the statement takes it. */
export interface BatchChange {
  change: UncommittedChange;
  requestId: string | null;
  requestHash: Buffer | null;
  requestKind: WriteKind | null;
  /** Per operation: a put of a key that did not exist. */
  created: boolean[];
}

/** An operation as a repeated request's answer needs it: without the value. */
export type StoredOperation = Omit<PutOperation, 'value'> | DeleteOperation;

/** The change that a request led to. */
export interface StoredRequest {
  requestHash: Buffer | null;
  requestKind: WriteKind | null;
  change: Omit<Change, 'operations'> & { operations: StoredOperation[] };
  created: boolean[];
}

/** A row of `config.entries`. */
export interface StoredEntry {
  namespace: string;
  key: string;
  value: Buffer;
  contentType: string;
  checksum: string;
  version: number;
  /** Time of `version`. */
  updatedAt: string;
}

/** One version of one key in its history; the value itself is asked for by `valueAt`. */
export interface HistoryItem {
  version: number;
  term: number;
  op: 'put' | 'delete';
  /** A put of a key that did not exist. */
  created: boolean;
  contentType: string | null;
  checksum: string | null;
  sizeBytes: number;
  author: string | null;
  comment: string | null;
  createdAt: string;
}

/** A page of the changes of some namespaces, and the version up to which it is complete. */
export interface NamespacePage {
  changes: Change[];
  through: number;
}
