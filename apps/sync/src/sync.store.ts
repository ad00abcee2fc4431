import { Injectable } from '@nestjs/common';
import { valueToJson, type WireChange } from '#libs/contracts';
import { invariant } from '#libs/kernel';
import { migrate, PrimaryPool } from '#libs/postgres';
import { SYNC_MIGRATIONS } from './migrations/index.js';

export interface Position {
  nodeId: string;
  incarnation: number;
  version: number;
}

/** Reads the change log with a role that can only read it; writes down where nodes stand. */
@Injectable()
export class SyncStore {
  constructor(private readonly pool: PrimaryPool) {}

  migrate(): Promise<void> {
    return migrate(this.pool, 'sync', SYNC_MIGRATIONS);
  }

  async headVersion(): Promise<number> {
    const { rows } = await this.pool.query<{ version: number }>({
      name: 'sync.head',
      text: 'select version from config.head where id = 1',
      timeoutMs: 1_000,
    });
    invariant(rows[0], 'config.head is empty');
    return rows[0].version;
  }

  /**
   * Contiguous changes after `version`, as they go over the wire: at most `limit`, and `maxBytes` beyond the first. None
   * where the log is compacted: what is left of it has holes.
   */
  async changesAfter(version: number, limit: number, maxBytes: number): Promise<WireChange[]> {
    const { rows } = await this.pool.queryAnyReadable<LogRow>({
      name: 'sync.changes-after',
      text: `select c.version, c.term, encode(c.chain, 'hex') as chain, c.kind, c.lost_from as "lostFrom", c.lost_to as "lostTo",
          c.author, c.comment, c.created_at as "createdAt", o.op, o.namespace, o.key, o.value, o.content_type as "contentType",
          'sha256:' || encode(o.checksum, 'hex') as checksum
        from (
          select p.*, sum(bytes) over (order by version) as total
          from (
            select * from config.changes where version > $1
              and $1 >= (select coalesce(max(floor), 1) - 1 from config.log_floors) order by version limit $2
          ) as p
        ) as c
        left join config.change_ops as o on o.version = c.version
        where c.total <= $3 or c.version = $1 + 1
        order by c.version, o.ordinal`,
      values: [version, limit, maxBytes],
    });
    return changesOf(rows);
  }

  async savePositions(positions: readonly Position[], head: number): Promise<void> {
    await this.pool.query({
      name: 'sync.positions',
      text: `insert into sync.nodes as n (node_id, incarnation, version, head, seen_at)
        select b.node_id, b.incarnation, b.version, $4, clock_timestamp()
        from unnest($1::text[], $2::int8[], $3::int8[]) as b (node_id, incarnation, version)
        on conflict (node_id) do update
          set incarnation = excluded.incarnation, version = excluded.version, head = excluded.head, seen_at = excluded.seen_at
          where n.incarnation <= excluded.incarnation`,
      values: [
        positions.map((position) => position.nodeId),
        positions.map((position) => position.incarnation),
        positions.map((position) => position.version),
        head,
      ],
    });
  }
}

interface LogRow {
  version: number;
  term: number;
  chain: string;
  kind: 'change' | 'lost';
  lostFrom: number | null;
  lostTo: number | null;
  author: string | null;
  comment: string | null;
  createdAt: Date;
  op: 'put' | 'delete' | null;
  namespace: string | null;
  key: string | null;
  value: Buffer | null;
  contentType: string | null;
  checksum: string | null;
}

function changesOf(rows: readonly LogRow[]): WireChange[] {
  const changes: WireChange[] = [];
  for (const row of rows) {
    let change = changes.at(-1);
    if (change?.version !== row.version) {
      const { version, term, chain, kind, author, comment, lostFrom: from, lostTo: to } = row;
      const lost = from !== null && to !== null ? { lost: { from, to } } : {};
      const createdAt = row.createdAt.toISOString();
      change = { version, term, chain, kind, ...lost, author, comment, createdAt, operations: [] };
      changes.push(change);
    }
    const operation = operationOf(row);
    if (operation) change.operations.push(operation);
  }
  return changes;
}

function operationOf(row: LogRow): WireChange['operations'][number] | undefined {
  const { op, namespace, key, value, contentType, checksum } = row;
  if (op === null || namespace === null || key === null) return undefined;
  if (op === 'delete') return { op, namespace, key };
  invariant(
    value !== null && contentType !== null && checksum !== null,
    'a put has a value, a type and a checksum',
  );
  return { op, namespace, key, ...valueToJson(value), contentType, checksum };
}
