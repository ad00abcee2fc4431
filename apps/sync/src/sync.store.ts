import { Injectable } from '@nestjs/common';
import type { Change, NodeSync, SyncReport } from '#libs/contracts';
import { invariant } from '#libs/kernel';
import { InstanceRows, migrate, PrimaryPool } from '#libs/postgres';
import type { Sizes } from './domain/catch-up-way.js';
import { LOG_PAGE, pageOf, type SyncPageRow } from './log-rows.js';
import { SYNC_MIGRATIONS } from './migrations/index.js';

export type NodeSyncRow = Omit<NodeSync, 'lagVersions' | 'seenAt' | 'observer'>;

/** Reads the change log with a role that can only read it; writes down where nodes stand. */
@Injectable()
export class SyncStore {
  readonly instances: InstanceRows;

  constructor(private readonly pool: PrimaryPool) {
    this.instances = new InstanceRows(pool, 'sync');
  }

  migrate(): Promise<void> {
    return migrate(this.pool, 'sync', SYNC_MIGRATIONS);
  }

  async head(): Promise<{ version: number; chain: string }> {
    const { rows } = await this.pool.query<{ version: number; chain: string }>({
      name: 'sync.head',
      text: `select version, encode(chain, 'hex') as chain from config.head where id = 1`,
      timeoutMs: 1_000,
    });
    invariant(rows[0], 'config.head has no row');
    return rows[0];
  }

  /**
   * Contiguous changes after `version`, as they go over the wire: at most `limit`, and `maxBytes` beyond the first.
   * `compacted`: what is left of the log there has holes.
   */
  async changesAfter(version: number, limit: number, maxBytes: number): Promise<Change[] | 'compacted'> {
    const { rows } = await this.pool.queryAnyReadable<SyncPageRow>({
      name: 'changes-after',
      text: LOG_PAGE,
      values: [version, limit, maxBytes],
    });
    return pageOf(rows, version);
  }

  /** As the server's statistics have them; undefined before it has any. */
  async sizes(): Promise<Sizes | undefined> {
    const { rows } = await this.pool.query<{
      keys: number;
      stateBytes: number;
      changes: number;
      logBytes: number;
    }>({
      name: 'sync.sizes',
      text: `select e.reltuples::int8 as keys, pg_table_size(e.oid)::int8 as "stateBytes",
          o.reltuples::int8 as changes, pg_table_size(o.oid)::int8 as "logBytes"
        from pg_class as e, pg_class as o
        where e.oid = 'config.entries'::regclass and o.oid = 'config.change_ops'::regclass`,
      timeoutMs: 1_000,
    });
    const [row] = rows;
    if (row === undefined || row.keys < 0 || row.changes <= 0) return undefined;
    const { keys: stateKeys, stateBytes, changes, logBytes } = row;
    return { stateKeys, stateBytes, bytesPerChange: logBytes / changes };
  }

  async saveNodes(nodes: readonly NodeSyncRow[], head: number, observer: string): Promise<void> {
    await this.pool.query({
      name: 'sync.positions',
      text: `insert into sync.nodes as n
          (node_id, incarnation, version, head, seen_at, lag_ms, state, way, batch_changes, observer)
        select "nodeId", incarnation, version, $2, clock_timestamp(), "lagMs"::int8, state, by, "batchChanges", $3
        from jsonb_to_recordset($1::jsonb) as b ("nodeId" text, incarnation int8, version int8, "lagMs" float8,
          state text, by text, "batchChanges" int)
        on conflict (node_id) do update
          set incarnation = excluded.incarnation, version = excluded.version, head = excluded.head,
            seen_at = excluded.seen_at, lag_ms = excluded.lag_ms, state = excluded.state, way = excluded.way,
            batch_changes = excluded.batch_changes, observer = excluded.observer
          where n.incarnation <= excluded.incarnation`,
      values: [JSON.stringify(nodes), head, observer],
    });
  }

  async forget(nodeId: string): Promise<void> {
    await this.pool.query({
      name: 'sync.forget',
      text: 'delete from sync.nodes where node_id = $1',
      values: [nodeId],
    });
  }

  async report(lifeMs: number): Promise<SyncReport> {
    const [{ version: head }, instances, nodes] = await Promise.all([
      this.head(),
      this.instances.alive(lifeMs),
      this.nodes(),
    ]);
    return { head, instances, nodes };
  }

  private async nodes(): Promise<NodeSync[]> {
    const { rows } = await this.pool.query<NodeSync & { seenAt: Date }>({
      name: 'sync.nodes',
      text: `select node_id as "nodeId", incarnation, version, greatest(head - version, 0) as "lagVersions",
          coalesce(lag_ms, 0) as "lagMs", coalesce(state, 'level') as state, way as by,
          coalesce(batch_changes, 1) as "batchChanges", coalesce(observer, '') as observer, seen_at as "seenAt"
        from sync.nodes order by node_id limit 1000`,
    });
    return rows.map((row) => ({ ...row, seenAt: row.seenAt.toISOString() }));
  }
}
