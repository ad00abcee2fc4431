import type { Change } from '#libs/contracts';
import type { PrimaryPool } from '#libs/postgres';
import type { HistoryItem, NamespacePage, StoredEntry } from '../domain/log.types.js';
import {
  CHANGE_COLUMNS,
  type ChangeRow,
  changesOf,
  checksumText,
  type HistoryRow,
  OPERATION_COLUMNS,
  type OperationRow,
} from './log-rows.js';
import { ALL_CHANGES, CHANGES_OF_NAMESPACES } from './sql/log-page.sql.js';

/** A page of the log ends at this many bytes unless the caller says otherwise. */
const PAGE_BYTES = 4 * 1024 * 1024;
/**
 * The change log, for whoever replays it or looks back. Retention leaves holes in what is older than the floor: nothing
 * here shows such a part as if it were whole. Every answer and the floor that it is judged by are of one moment.
 */
export class ChangeLog {
  constructor(private readonly pool: PrimaryPool) {}

  /**
   * The changes after `version`, in order and without a gap: at most `limit`, and at most about `maxBytes` unless the
   * first is larger. `compacted`: what follows `version` is not kept any more, or not whole.
   */
  async changesAfter(version: number, limit: number, maxBytes: number): Promise<Change[] | 'compacted'> {
    const { rows } = await this.pool.queryAnyReadable<ChangePageRow>({
      name: 'changes-after',
      text: ALL_CHANGES,
      values: [version, limit, maxBytes],
    });
    const changes = pageOf(rows, version);
    if (changes === 'compacted') return changes;
    const [first] = changes;
    return first !== undefined && (first.lost?.from ?? first.version) > version + 1 ? 'compacted' : changes;
  }

  /** The same, where 0 stands for the oldest version that can be replayed from. */
  async retainedAfter(version: number, limit: number, maxBytes: number): Promise<Change[] | 'compacted'> {
    const page = await this.changesAfter(version, limit, maxBytes);
    if (page !== 'compacted' || version > 0) return page;
    return this.changesAfter((await this.floor()) - 1, limit, maxBytes);
  }

  /** Of one namespace: only the changes that touch it, with only their operations in it. */
  async changesIn(
    namespace: string,
    page: { after: number; limit: number; maxBytes?: number },
  ): Promise<Change[] | 'compacted'> {
    const found = await this.pageOf([namespace], { ...page, withLost: false });
    return found === 'compacted' ? found : found.changes;
  }

  /**
   * Of some namespaces, for whoever catches up with these alone: the changes that touch one of them, with only their
   * operations in them, and the changes of kind 'lost', which concern everybody. It costs one look-up for each change
   * given and each namespace, however much was published elsewhere.
   */
  touching(
    namespaces: readonly string[],
    page: { after: number; limit: number; maxBytes?: number },
  ): Promise<NamespacePage | 'compacted'> {
    return this.pageOf(namespaces, { ...page, withLost: true });
  }

  /** The same, where 0 stands for the oldest version that these can be replayed from. */
  async retainedTouching(
    namespaces: readonly string[],
    page: { after: number; limit: number; maxBytes?: number },
  ): Promise<NamespacePage | 'compacted'> {
    const found = await this.touching(namespaces, page);
    if (found !== 'compacted' || page.after > 0) return found;
    const floors = await Promise.all(namespaces.map((namespace) => this.floorOf(namespace)));
    return this.touching(namespaces, { ...page, after: Math.max(...floors) - 1 });
  }

  private async pageOf(
    namespaces: readonly string[],
    page: { after: number; limit: number; maxBytes?: number; withLost: boolean },
  ): Promise<NamespacePage | 'compacted'> {
    const { rows } = await this.pool.queryAnyReadable<NamespaceRow>({
      name: 'changes-of-namespaces',
      text: CHANGES_OF_NAMESPACES,
      values: [page.after, page.limit, page.maxBytes ?? PAGE_BYTES, namespaces, page.withLost],
    });
    const changes = pageOf(rows, page.after);
    if (changes === 'compacted') return changes;
    return { changes, through: Math.max(page.after, rows[0]?.through ?? 0) };
  }

  /** The first version from which everything can be replayed. */
  async floor(): Promise<number> {
    const { rows } = await this.pool.queryAnyReadable<{ floor: number }>({
      name: 'log-floor',
      text: `select greatest(1, (select max(floor) from config.log_floors),
        (select coalesce(lost_from, version) from config.changes order by version limit 1)) as floor`,
    });
    return rows[0]?.floor ?? 1;
  }

  /** The first version from which the changes of one namespace can be replayed. */
  async floorOf(namespace: string): Promise<number> {
    const { rows } = await this.pool.queryAnyReadable<{ floor: number }>({
      name: 'namespace-floor',
      text: 'select floor from config.log_floors where namespace = $1',
      values: [namespace],
    });
    return rows[0]?.floor ?? 1;
  }

  /** Versions of one key, newest first, below `before` when given: those that are kept. */
  async history(
    namespace: string,
    key: string,
    page: { limit: number; before?: number | undefined },
  ): Promise<HistoryItem[]> {
    const { rows } = await this.pool.queryAnyReadable<HistoryRow>({
      name: 'history',
      text: `select o.version, c.term, o.op, o.content_type, o.checksum, coalesce(octet_length(o.value), 0) as size,
          o.created, c.author, c.comment, c.created_at
        from config.change_ops as o join config.changes as c on c.version = o.version
        where o.namespace = $1 and o.key = $2 and o.version < $3 order by o.version desc limit $4`,
      values: [namespace, key, page.before ?? Number.MAX_SAFE_INTEGER, page.limit],
    });
    return rows.map((row) => ({
      version: row.version,
      term: row.term,
      op: row.op,
      created: row.created,
      contentType: row.content_type,
      checksum: row.checksum && checksumText(row.checksum),
      sizeBytes: row.size,
      author: row.author,
      comment: row.comment,
      createdAt: row.created_at.toISOString(),
    }));
  }

  /**
   * The key as it was at `version`; undefined when it did not exist then. Of a key only the oldest operations are ever
   * removed, so that the last one at or below the version is the right one wherever there still is one.
   */
  async valueAt(
    namespace: string,
    key: string,
    version: number,
  ): Promise<StoredEntry | 'compacted' | undefined> {
    const { rows } = await this.pool.queryAnyReadable<ChangePageRow>({
      name: 'value-at',
      text: `select f.floor, ${CHANGE_COLUMNS}, ${OPERATION_COLUMNS}, o.value
        from (select coalesce(max(floor), 1) as floor from config.log_floors where namespace = $1) as f
        left join (
          select * from config.change_ops where namespace = $1 and key = $2 and version <= $3 order by version desc limit 1
        ) as o on true
        left join config.changes as c on c.version = o.version`,
      values: [namespace, key, version],
    });
    const [change] = changesOf(rows.filter(isLogged));
    if (change === undefined) return (rows[0]?.floor ?? 1) > version + 1 ? 'compacted' : undefined;
    const [operation] = change.operations;
    if (operation?.op !== 'put') return undefined;
    const { op: _, ...entry } = operation;
    return { ...entry, version: change.version, updatedAt: change.createdAt };
  }
}

type ChangeLogRow = ChangeRow & OperationRow & { value: Buffer | null };
/** The floor comes with every row, and in a row of its own when there is nothing else. */
type ChangePageRow = { floor: number } & (ChangeLogRow | { version: null });
type NamespaceRow = ChangePageRow & { through: number | null };

const isLogged = (row: ChangePageRow): row is { floor: number } & ChangeLogRow => row.version !== null;

function pageOf(rows: readonly ChangePageRow[], after: number): Change[] | 'compacted' {
  const floor = rows[0]?.floor ?? 1;
  return floor > after + 1 ? 'compacted' : changesOf(rows.filter(isLogged));
}
