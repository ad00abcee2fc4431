import type { PrimaryPool } from '#libs/postgres';
import { type KeyOperation, type NodePosition, stateUntil } from '../domain/retention.js';
import { type LeaderFence, lockHead } from './head-lock.js';
import {
  NEXT_NAMESPACE,
  OLDER_THAN,
  POSITIONS,
  REMOVE_CHANGES,
  REMOVE_OPERATIONS,
  SLICE,
} from './sql/compaction.sql.js';

/** An operation that retention may remove. */
export interface OldOperation extends KeyOperation {
  namespace: string;
  key: string;
  ordinal: number;
  bytes: number;
}

/** A key, and its oldest operations, oldest first. */
export interface OldKey {
  key: string;
  keepFrom: number | null;
  operations: OldOperation[];
}

export interface SliceOf {
  namespace: string;
  after: string;
  keys: number;
  operationsPerKey: number;
  upTo: number;
  maxVersions: number | null;
}

/** Finds what is old in the log by reads alone, and removes it behind the lock of head. */
export class Compaction {
  constructor(
    private readonly pool: PrimaryPool,
    private readonly reads: PrimaryPool,
  ) {}

  async nextNamespace(after: string): Promise<string | undefined> {
    const { rows } = await this.reads.query<{ namespace: string }>({
      name: 'compaction-namespace',
      text: NEXT_NAMESPACE,
      values: [after],
    });
    return rows[0]?.namespace;
  }

  /** Where the registry saw the nodes last, and the database's time. */
  async positions(): Promise<{ nowMs: number; positions: NodePosition[] }> {
    const { rows } = await this.reads.query<NodePosition & { nowMs: number }>({
      name: 'compaction-positions',
      text: POSITIONS,
    });
    return { nowMs: rows[0]?.nowMs ?? 0, positions: rows };
  }

  /** The highest version below `head` that is so old; 0 = none. Times rise with versions but for a clock set back. */
  async versionOfAge(ageMs: number, head: number): Promise<number> {
    let old = 0;
    let young = head + 1;
    while (young - old > 1) {
      const middle = Math.floor((old + young) / 2);
      const { rows } = await this.reads.query<{ version: number; older: boolean }>({
        name: 'compaction-age',
        text: OLDER_THAN,
        values: [middle, ageMs],
      });
      const [found] = rows;
      if (found?.older && found.version < young) old = found.version;
      else young = middle;
    }
    return old;
  }

  async slice({ namespace, after, keys, operationsPerKey, upTo, maxVersions }: SliceOf): Promise<OldKey[]> {
    const { rows } = await this.reads.query<SliceRow>({
      name: 'compaction-slice',
      text: SLICE,
      values: [namespace, after, keys, upTo, maxVersions, operationsPerKey],
    });
    const found: OldKey[] = [];
    for (const { key, keepFrom, ...operation } of rows) {
      let last = found.at(-1);
      if (last?.key !== key) {
        last = { key, keepFrom, operations: [] };
        found.push(last);
      }
      if (operation.version !== null) last.operations.push({ ...operation, namespace, key });
    }
    return found;
  }

  /** How many there were; 'fenced' when somebody else leads. The floor rises with them, in the same transaction. */
  remove(leader: LeaderFence, operations: readonly OldOperation[]): Promise<number | 'fenced'> {
    return this.pool.transaction(async (tx) => {
      if ((await lockHead(tx, leader)) === undefined) return 'fenced';
      const { rows } = await tx.query<{ version: number; operations: number }>({
        name: 'compaction-remove',
        text: REMOVE_OPERATIONS,
        values: [
          operations.map(({ version }) => version),
          operations.map(({ ordinal }) => ordinal),
          operations.map(({ namespace }) => namespace),
          operations.map(({ key }) => key),
          operations.map(stateUntil),
        ],
      });
      if (rows.length === 0) return 0;
      await tx.query({
        name: 'compaction-changes',
        text: REMOVE_CHANGES,
        values: [rows.map(({ version }) => version)],
      });
      return rows.reduce((sum, { operations: count }) => sum + count, 0);
    });
  }
}

type SliceRow = { key: string; keepFrom: number | null } & (
  | { version: null }
  | { version: number; ordinal: number; op: 'put' | 'delete'; supersededBy: number | null; bytes: number }
);
