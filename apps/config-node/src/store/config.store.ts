import { invariant } from '#libs/kernel';
import { migrate, type PostgresSettings, PrimaryPool, type Queryable } from '#libs/postgres';
import type { BatchChange, Fence, HeadRow, StoredRequest, WriteKind } from '../domain/log.types.js';
import { ChangeLog } from './change-log.js';
import { commitParameters, fenceParameters } from './commit-parameters.js';
import { Compaction } from './compaction.js';
import { DiscardedHistories } from './discarded-histories.js';
import { EntriesScrub } from './entries-scrub.js';
import {
  CHANGE_COLUMNS,
  type ChangeRow,
  changeHeader,
  OPERATION_COLUMNS,
  type OperationRow,
  operationHeader,
} from './log-rows.js';
import { CONFIG_MIGRATIONS } from './migrations/index.js';
import { COMMIT, CONFIRM_FENCE } from './sql/commit.sql.js';
import { type EntryPages, statePages } from './state-pages.js';

const HEAD_COLUMNS = `h.cluster_id as "clusterId", h.version, encode(h.chain, 'hex') as chain, h.term,
  h.leader_id as "leaderId", h.incarnation, h.attempt`;

/** Connections of a node to the primary, by what they serve. */
interface Connections {
  /** Batches, what must not wait behind a batch, and linearizable reads. */
  writes: number;
  /** What people ask for: history, older pages of the log, past values. */
  reads: number;
  /** What the node itself reads from the log; 0 = by the connections of `reads`. */
  ownLog: number;
}

const VOTER: Connections = { writes: 3, reads: 4, ownLog: 2 };
/** It commits nothing and is never elected, and there may be hundreds of them. */
const OBSERVER: Connections = { writes: 1, reads: 2, ownLog: 0 };

/**
 * Schema `config`: the sequencer row, the change log and the state it leads to. Every method is one statement (or one
 * read-only transaction) and throws StorageUnavailable (never sent), OutcomeUnknown, DataError or StatementRefused.
 */
export class ConfigStore {
  readonly #pool: PrimaryPool;
  readonly #reads: PrimaryPool;
  readonly #ownReads: PrimaryPool;
  /** Every change, and every version of every key: for whoever asks this node. */
  readonly log: ChangeLog;
  /** The same for the node itself: an elected leader that catches up waits for nobody's request. */
  readonly ownLog: ChangeLog;
  /** What is old in it. */
  readonly compaction: Compaction;
  /** The state in the database against the log. */
  readonly entriesScrub: EntriesScrub;
  readonly discarded: DiscardedHistories;

  /**
   * `reads` serves what people ask for (history, log, values): it must not take connections that the leader needs.
   * `ownReads` serves what the node itself reads of log and state, so that no number of those requests delays a leader.
   */
  constructor(pool: PrimaryPool, reads: PrimaryPool = pool, ownReads: PrimaryPool = reads) {
    this.#pool = pool;
    this.#reads = reads;
    this.#ownReads = ownReads;
    this.log = new ChangeLog(reads);
    this.ownLog = new ChangeLog(ownReads);
    this.compaction = new Compaction(pool, reads);
    this.entriesScrub = new EntriesScrub(pool, reads);
    this.discarded = new DiscardedHistories(pool);
  }

  /** A store with pools of its own, as large as the node's role needs them; `end` closes them. */
  static open(settings: Omit<PostgresSettings, 'max'>, role: 'voter' | 'observer'): ConfigStore {
    const { writes, reads, ownLog } = role === 'voter' ? VOTER : OBSERVER;
    const { onSplit, ...rest } = settings;
    const poolOf = (max: number) => new PrimaryPool({ ...rest, max });
    const readPool = poolOf(reads);
    const writePool = new PrimaryPool({ ...rest, ...(onSplit && { onSplit }), max: writes });
    return new ConfigStore(writePool, readPool, ownLog === 0 ? readPool : poolOf(ownLog));
  }

  async end(): Promise<void> {
    await Promise.all([this.#pool.end(), this.#reads.end(), this.#ownReads.end()]);
  }

  /** Whether the primary answered the last statement sent to it. */
  available(): boolean {
    return this.#pool.available();
  }

  migrate(): Promise<void> {
    return migrate(this.#pool, 'config', CONFIG_MIGRATIONS);
  }

  /** As the primary shows it. A demoted primary may answer too: nothing may be decided by it alone. */
  async readHead(): Promise<HeadRow> {
    return readHead(this.#pool);
  }

  /** Commits the batch, or changes nothing: 'fenced' when head does not say what the fence expects. */
  async commit(fence: Fence, batch: readonly BatchChange[]): Promise<{ createdAt: string } | 'fenced'> {
    const { rows } = await this.#pool.query<{ at: Date }>({
      name: 'commit',
      text: COMMIT,
      values: commitParameters(fence, batch),
    });
    const at = rows[0]?.at;
    return at ? { createdAt: at.toISOString() } : 'fenced';
  }

  /** Whether head says what the fence expects, by a statement that commits as a write does. */
  async confirmFence(fence: Fence): Promise<boolean> {
    const { rowCount } = await this.#pool.query({
      name: 'confirm-fence',
      text: CONFIRM_FENCE,
      values: fenceParameters(fence),
    });
    return rowCount === 1;
  }

  /**
   * Makes every statement of an earlier attempt powerless, also one that is still on its way; undefined when somebody
   * else leads. Only after this does a look-up prove anything about a commit whose outcome is unknown.
   */
  async bumpAttempt(leader: Pick<Fence, 'term' | 'leaderId' | 'incarnation'>): Promise<HeadRow | undefined> {
    const { rows } = await this.#pool.query<HeadRow>({
      name: 'bump-attempt',
      text: `update config.head as h set attempt = attempt + 1
        where id = 1 and term = $1 and leader_id = $2 and incarnation = $3 returning ${HEAD_COLUMNS}`,
      values: [leader.term, leader.leaderId, leader.incarnation],
    });
    return rows[0];
  }

  /** What the given idempotency keys led to; those without a change are absent. */
  async lookUpRequests(ids: readonly string[]): Promise<Map<string, StoredRequest>> {
    const found = new Map<string, StoredRequest>();
    if (ids.length === 0) return found;
    const { rows } = await this.#pool.query<RequestRow>({
      name: 'look-up-requests',
      text: `select c.request_id, c.request_hash, c.request_kind, ${CHANGE_COLUMNS}, ${OPERATION_COLUMNS}, o.created
        from config.changes as c left join config.change_ops as o on o.version = c.version
        where c.request_id = any($1::text[]) order by c.version, o.ordinal`,
      values: [ids],
    });
    for (const row of rows) {
      const request = found.get(row.request_id) ?? {
        requestHash: row.request_hash,
        requestKind: row.request_kind,
        change: { ...changeHeader(row), operations: [] },
        created: [],
      };
      const operation = operationHeader(row);
      if (operation) {
        request.change.operations.push(operation);
        request.created.push(row.created ?? false);
      }
      found.set(row.request_id, request);
    }
    return found;
  }

  /**
   * A linearizable read: head as of after this was sent, by a statement that must commit as a write does. It has rows
   * of its own to write to, so that it waits for no batch.
   */
  async barrier(): Promise<HeadRow> {
    const { rows } = await this.#pool.query<HeadRow>({
      name: 'barrier',
      text: `with fence as (update config.read_fence set n = n + 1 where slot = pg_backend_pid() % 8 returning slot)
        select ${HEAD_COLUMNS} from fence cross join config.head as h where h.id = 1`,
    });
    return onlyHead(rows);
  }

  /**
   * The whole state at one head, in pages; no transaction is held meanwhile. Rejects with HistoryReplaced when the database
   * came to have another history before the last page, with what `consume` throws, and as every read does.
   */
  async loadState<T>(consume: (head: HeadRow, pages: EntryPages) => Promise<T>): Promise<T> {
    const { rows } = await this.#ownReads.queryAnyReadable<HeadRow>(READ_HEAD);
    const head = onlyHead(rows);
    return consume(head, statePages(this.#ownReads, head));
  }
}

const READ_HEAD = {
  name: 'read-head',
  text: `select ${HEAD_COLUMNS} from config.head as h where h.id = 1`,
};

interface RequestRow extends ChangeRow, OperationRow {
  request_id: string;
  request_hash: Buffer | null;
  request_kind: WriteKind | null;
  created: boolean | null;
}

async function readHead(db: Queryable): Promise<HeadRow> {
  const { rows } = await db.query<HeadRow>(READ_HEAD);
  return onlyHead(rows);
}

function onlyHead(rows: readonly HeadRow[]): HeadRow {
  const head = rows[0];
  invariant(head, 'config.head has no row');
  return head;
}
