/**
 * What clients saw, in the order in which they saw it, on one monotonic clock (all clients of a run live in one
 * process). Every write carries a mark that occurs nowhere else: it is the comment of the change, so that the change
 * log tells for each write, answered or not, whether and where it took effect.
 */
export type Condition = { type: 'version'; version: number } | { type: 'exists' } | { type: 'absent' };

export type WrittenOperation =
  | { op: 'put'; namespace: string; key: string; value: string; condition?: Condition }
  | { op: 'delete'; namespace: string; key: string; condition?: Condition };

export type WriteOutcome =
  /** `created` is what the answer said (201), undefined where answers do not say it. */
  | { type: 'ok'; version: number; created?: boolean }
  /** Answered with an error that promises that nothing happened. */
  | { type: 'refused'; status: number; code: string }
  /** 504, or the connection broke after the request was sent. */
  | { type: 'unknown'; code: string };

export interface WriteRecord {
  client: string;
  mark: string;
  operations: readonly WrittenOperation[];
  startedAt: number;
  endedAt: number;
  outcome: WriteOutcome;
}

export type ReadOutcome =
  | { type: 'value'; value: string; keyVersion: number; appliedVersion: number }
  | { type: 'absent'; appliedVersion: number }
  | { type: 'error'; status: number; code: string };

export interface ReadRecord {
  client: string;
  namespace: string;
  key: string;
  linearizable: boolean;
  /** Sent as Holdfast-Min-Version. */
  minVersion?: number;
  startedAt: number;
  endedAt: number;
  outcome: ReadOutcome;
}

export interface ListRecord {
  client: string;
  namespace: string;
  prefix: string;
  startedAt: number;
  endedAt: number;
  version: number;
  items: readonly { key: string; value: string; version: number }[];
}

export type LoggedOperation =
  | { op: 'put'; namespace: string; key: string; value: string }
  | { op: 'delete'; namespace: string; key: string };

export interface LoggedChange {
  version: number;
  term: number;
  comment: string | null;
  operations: readonly LoggedOperation[];
}

export type WatchEvent =
  /** A stream was opened; `from` is what it was asked to resume after, null = the present. */
  | { type: 'connected'; from: number | null; at: number }
  | { type: 'change'; version: number; operations: readonly LoggedOperation[]; at: number }
  | { type: 'bookmark'; version: number; at: number }
  | { type: 'reset'; version: number; reason: string; at: number };

export interface WatchRecord {
  watcher: string;
  namespace: string;
  prefix: string;
  events: WatchEvent[];
}

/** Append-only. One run works in namespaces that no earlier run used, above version `base`. */
export class History {
  private readonly run: string;
  readonly base: number;

  constructor(run: string, base = 0) {
    this.run = run;
    this.base = base;
  }

  /** Changes whose comment begins with this are this run's. */
  get markPrefix(): string {
    return `mark:${this.run}:`;
  }

  markOf(client: string, number: number): string {
    return `${this.markPrefix}${client}:${number}`;
  }

  readonly writes: WriteRecord[] = [];
  readonly reads: ReadRecord[] = [];
  readonly lists: ListRecord[] = [];
  readonly watches: WatchRecord[] = [];
}
