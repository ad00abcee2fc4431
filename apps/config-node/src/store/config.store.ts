import type { Change } from '#libs/contracts';
import { invariant } from '#libs/kernel';
import { migrate, type PostgresSettings, PrimaryPool, type Queryable } from '#libs/postgres';
import { COMMIT, CONFIRM_FENCE } from './commit.sql.js';
import { commitParameters, fenceParameters } from './commit-parameters.js';
import { DiscardedHistories } from './discarded-histories.js';
import { EntriesScrub } from './entries-scrub.js';
import {
  CHANGE_COLUMNS,
  type ChangeRow,
  changeHeader,
  changesOf,
  checksumText,
  type HistoryRow,
  OPERATION_COLUMNS,
  type OperationRow,
  operationHeader,
} from './log-rows.js';
import { CONFIG_MIGRATIONS } from './migrations/index.js';
import { type EntryPages, entryPages } from './state-pages.js';
import type {
  BatchChange,
  Fence,
  HeadRow,
  HistoryItem,
  RequestKind,
  StoredEntry,
  StoredRequest,
} from './store.types.js';

const HEAD_COLUMNS = `h.cluster_id as "clusterId", h.version, encode(h.chain, 'hex') as chain, h.term,
  h.leader_id as "leaderId", h.incarnation, h.attempt`;

/** One for the batch, one for what must not wait behind it, one for a linearizable read. */
const LEADER_CONNECTIONS = 3;
const READ_CONNECTIONS = 4;

/** A page of the log ends at this many bytes unless the caller says otherwise. */
const PAGE_BYTES = 4 * 1024 * 1024;

/**
 * Schema `config`: the sequencer row, the change log and the state it leads to. Every method is one statement (or one
 * read-only transaction) and throws StorageUnavailable (never sent), OutcomeUnknown, DataError or StatementRefused.
 */
export class ConfigStore {
  readonly #pool: PrimaryPool;
  readonly #reads: PrimaryPool;
  /** The state in the database against the log. */
  readonly entriesScrub: EntriesScrub;
  readonly discarded: DiscardedHistories;

  /** `reads` serves what people ask for (history, log, values): it must not take connections that the leader needs. */
  constructor(pool: PrimaryPool, reads: PrimaryPool = pool) {
    this.#pool = pool;
    this.#reads = reads;
    this.entriesScrub = new EntriesScrub(pool, reads);
    this.discarded = new DiscardedHistories(pool);
  }

  /** A store with pools of its own; `end` closes them. */
  static open(settings: Omit<PostgresSettings, 'max'>): ConfigStore {
    return new ConfigStore(
      new PrimaryPool({ ...settings, max: LEADER_CONNECTIONS }),
      new PrimaryPool({ ...settings, max: READ_CONNECTIONS }),
    );
  }

  async end(): Promise<void> {
    await Promise.all([this.#pool.end(), this.#reads.end()]);
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

  /** The changes after `version`, in order: at most `limit`, and at most about `maxBytes` unless the first is larger. */
  async changesAfter(version: number, limit: number, maxBytes: number): Promise<Change[]> {
    const { rows } = await this.#reads.queryAnyReadable<LogRow>({
      name: 'changes-after',
      text: logPage({ inNamespace: false }),
      values: [version, limit, maxBytes],
    });
    return changesOf(rows);
  }

  /** The same for people: with a namespace only the changes that touch it, with only their operations in it. */
  async changesPage(page: {
    after: number;
    limit: number;
    namespace?: string | undefined;
    maxBytes?: number;
  }): Promise<Change[]> {
    const bounds = [page.after, page.limit, page.maxBytes ?? PAGE_BYTES];
    const { rows } = await this.#reads.queryAnyReadable<LogRow>(
      page.namespace === undefined
        ? { name: 'changes-after', text: logPage({ inNamespace: false }), values: bounds }
        : { text: logPage({ inNamespace: true }), values: [...bounds, page.namespace] },
    );
    return changesOf(rows);
  }

  /** The lowest version that the log still holds; undefined while it is empty. */
  async oldestVersion(): Promise<number | undefined> {
    const { rows } = await this.#reads.queryAnyReadable<{ oldest: number | null }>({
      name: 'oldest-version',
      text: 'select min(version) as oldest from config.changes',
    });
    return rows[0]?.oldest ?? undefined;
  }

  /** Versions of one key, newest first, below `before` when given. */
  async history(
    namespace: string,
    key: string,
    page: { limit: number; before?: number | undefined },
  ): Promise<HistoryItem[]> {
    const { rows } = await this.#reads.queryAnyReadable<HistoryRow>({
      name: 'history',
      text: `select o.version, c.term, o.op, o.content_type, o.checksum, coalesce(octet_length(o.value), 0) as size,
          c.author, c.comment, c.created_at
        from config.change_ops as o join config.changes as c on c.version = o.version
        where o.namespace = $1 and o.key = $2 and o.version < $3 order by o.version desc limit $4`,
      values: [namespace, key, page.before ?? Number.MAX_SAFE_INTEGER, page.limit],
    });
    return rows.map((row) => ({
      version: row.version,
      term: row.term,
      op: row.op,
      contentType: row.content_type,
      checksum: row.checksum && checksumText(row.checksum),
      sizeBytes: row.size,
      author: row.author,
      comment: row.comment,
      createdAt: row.created_at.toISOString(),
    }));
  }

  /** The key as it was at `version`; undefined when it did not exist then. */
  async valueAt(namespace: string, key: string, version: number): Promise<StoredEntry | undefined> {
    const { rows } = await this.#reads.queryAnyReadable<ChangeRow & OperationRow & { value: Buffer | null }>({
      name: 'value-at',
      text: `select ${CHANGE_COLUMNS}, ${OPERATION_COLUMNS}, o.value
        from config.change_ops as o join config.changes as c on c.version = o.version
        where o.namespace = $1 and o.key = $2 and o.version <= $3 order by o.version desc limit 1`,
      values: [namespace, key, version],
    });
    const change = changesOf(rows)[0];
    const operation = change?.operations[0];
    if (!change || operation?.op !== 'put') return undefined;
    const { op: _, ...entry } = operation;
    return { ...entry, version: change.version, updatedAt: change.createdAt };
  }

  /**
   * The whole state at one head, in pages, within one transaction. `consume` may take its time, but the transaction
   * is bounded: it must not wait for anything but its own work.
   */
  async loadState<T>(consume: (head: HeadRow, pages: EntryPages) => Promise<T>): Promise<T> {
    return this.#reads.readTransaction(
      'begin transaction isolation level repeatable read, read only',
      async (tx) => {
        // Longer than a publish may take; a running timer is only stopped by 0.
        await tx.query({ text: 'set local transaction_timeout = 0' });
        await tx.query({ text: 'set local idle_in_transaction_session_timeout = 10000' });
        return consume(await readHead(tx), entryPages(tx));
      },
    );
  }
}

interface RequestRow extends ChangeRow, OperationRow {
  request_id: string;
  request_hash: Buffer | null;
  request_kind: RequestKind | null;
  created: boolean | null;
}

type LogRow = ChangeRow & OperationRow & { value: Buffer | null };

/** $1 after, $2 limit, $3 bytes, $4 namespace. The first change is always there, so that every page makes progress. */
function logPage({ inNamespace }: { inNamespace: boolean }): string {
  const touches = inNamespace
    ? 'and exists (select from config.change_ops as t where t.version = p.version and t.namespace = $4)'
    : '';
  return `with c as (
      select * from (
        select *, sum(bytes) over w as bytes_so_far, row_number() over w as nth
        from (select * from config.changes as p where p.version > $1 ${touches}
              order by p.version limit $2) as next
        window w as (order by version)
      ) as sized where bytes_so_far <= $3 or nth = 1
    )
    select ${CHANGE_COLUMNS}, ${OPERATION_COLUMNS}, o.value
    from c left join config.change_ops as o on o.version = c.version ${inNamespace ? 'and o.namespace = $4' : ''}
    order by c.version, o.ordinal`;
}

async function readHead(db: Queryable): Promise<HeadRow> {
  const { rows } = await db.query<HeadRow>({
    name: 'read-head',
    text: `select ${HEAD_COLUMNS} from config.head as h where h.id = 1`,
  });
  return onlyHead(rows);
}

function onlyHead(rows: readonly HeadRow[]): HeadRow {
  const head = rows[0];
  invariant(head, 'config.head has its one row');
  return head;
}
