import { Injectable } from '@nestjs/common';
import type { DiscardedHistory, KeyState, RepairRequest } from '#libs/contracts';
import { valueToJson } from '#libs/contracts';
import { invariant } from '#libs/kernel';
import { PrimaryPool, StatementRefused } from '#libs/postgres';
import { type KeyName, nameOf, type Pin } from '../domain/comparison/pin.js';
import type { Truths } from '../domain/comparison/round.js';
import { truthOf } from '../domain/reference/reference.js';

/** The nodes of the release before do not know it yet. */
const UNDEFINED_TABLE = '42P01';

/** The log and the state in the database, read with a role that can only read them. */
@Injectable()
export class ReferenceStore {
  constructor(private readonly pool: PrimaryPool) {}

  /** Where the history stands: what a round compares at. */
  async head(): Promise<Pin & { leaderId: string | null }> {
    const { rows } = await this.pool.query<Pin & { leaderId: string | null }>({
      name: 'consistency.head',
      text: `select version, encode(chain, 'hex') as chain, leader_id as "leaderId" from config.head where id = 1`,
      timeoutMs: 1_000,
    });
    invariant(rows[0], 'config.head has no row');
    return rows[0];
  }

  /** What keys are at the pinned version; undefined when the log has another history, or does not know that version. */
  async truths(pin: Pin, keys: readonly KeyName[]): Promise<Truths | undefined> {
    if (keys.length === 0) return new Map();
    const { rows } = await this.pool.query<TruthRow>({
      name: 'consistency.truth',
      text: `select k.namespace, k.key, o.version as "loggedVersion", o.op, o.content_type as "loggedType",
          'sha256:' || encode(o.checksum, 'hex') as "loggedChecksum", l.version as "latestVersion",
          l.content_type as "latestType", 'sha256:' || encode(l.checksum, 'hex') as "latestChecksum", e.version as "entryVersion",
          e.content_type as "entryType", 'sha256:' || encode(e.checksum, 'hex') as "entryChecksum",
          (select encode(chain, 'hex') from config.changes where version = $3) as chain,
          (select coalesce(lost_from, version) from config.changes order by version limit 1) as oldest,
          (select max(floor) from config.log_floors) as "highestFloor",
          (select f.floor from config.log_floors as f where f.namespace = k.namespace) as floor
        from unnest($1::text[], $2::text[]) as k (namespace, key)
        left join lateral (${LAST_OPERATION}) as o on true
        left join lateral (${LATEST_OPERATION}) as l on true
        left join config.entries as e on e.namespace = k.namespace and e.key = k.key`,
      values: [keys.map(({ namespace }) => namespace), keys.map(({ key }) => key), pin.version],
    });
    if (rows[0]?.chain !== pin.chain) return undefined;
    return new Map(
      rows.map((row) => {
        const { namespace, key } = row;
        const truth = truthOf({ namespace, key, ...rowsOf(row) }, pin.version, logIsWhole(row, pin.version));
        return [nameOf(row), { namespace, key, truth }];
      }),
    );
  }

  /** The values of keys as they were at the pinned version, as a node takes them. */
  async values(pin: Pin, keys: readonly KeyName[]): Promise<RepairRequest['puts']> {
    const { rows } = await this.pool.query<ValueRow>({
      name: 'consistency.values',
      text: `select k.namespace, k.key, coalesce(o.version, e.version) as version,
          coalesce(o.value, e.value) as value, coalesce(o.content_type, e.content_type) as "contentType",
          'sha256:' || encode(coalesce(o.checksum, e.checksum), 'hex') as checksum,
          coalesce(c.created_at, e.created_at) as "updatedAt"
        from unnest($1::text[], $2::text[]) as k (namespace, key)
        left join lateral (${LAST_OPERATION}) as o on true
        left join config.changes as c on c.version = o.version
        left join config.entries as e on e.namespace = k.namespace and e.key = k.key and e.version <= $3
          and o.version is null
        where coalesce(o.value, e.value) is not null`,
      values: [keys.map(({ namespace }) => namespace), keys.map(({ key }) => key), pin.version],
    });
    return rows.map(({ value, updatedAt, ...row }) => ({
      ...row,
      ...valueToJson(value),
      updatedAt: updatedAt.toISOString(),
    }));
  }

  /** What nodes gave up because the database had lost it, newest first. */
  async discarded(limit: number): Promise<DiscardedHistory[]> {
    const { rows } = await this.pool
      .query<DiscardedHistory & { at: Date }>({
        name: 'consistency.discarded',
        text: `select node_id as "nodeId", from_version as "from", to_version as "to", changes, file, at
          from config.discarded_histories order by id desc limit $1`,
        values: [limit],
      })
      .catch((error: unknown) => {
        if (error instanceof StatementRefused && error.sqlState === UNDEFINED_TABLE) return { rows: [] };
        throw error;
      });
    return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
  }

  /** What leaders found wrong in `config.entries`, after a finding that is known already. */
  async entryFindings(after: number, limit: number): Promise<EntryFinding[]> {
    const { rows } = await this.pool.query<EntryFinding & { at: Date }>({
      name: 'consistency.entry-findings',
      text: `select id, namespace, key, class, expected, found, repaired, why, version, leader_id as "leaderId", at
        from config.entry_findings where id > $1 order by id limit $2`,
      values: [after, limit],
    });
    return rows;
  }
}

export interface EntryFinding extends KeyName {
  id: number;
  class: 'missing' | 'mismatch' | 'extra';
  expected: KeyState | null;
  found: KeyState | null;
  repaired: boolean;
  why: string;
  version: number;
  leaderId: string;
  at: Date;
}

/** $3: the last one of the key at or below that version. */
const LAST_OPERATION = `select l.version, l.op, l.value, l.content_type, l.checksum from config.change_ops as l
  where l.namespace = k.namespace and l.key = k.key and l.version <= $3
  order by l.version desc, l.ordinal desc limit 1`;

/** The last one of the key, by which its entry is to be made. */
const LATEST_OPERATION = `select n.version, n.content_type, n.checksum from config.change_ops as n
  where n.namespace = k.namespace and n.key = k.key order by n.version desc, n.ordinal desc limit 1`;

interface TruthRow extends KeyName {
  loggedVersion: number | null;
  op: 'put' | 'delete' | null;
  loggedType: string | null;
  loggedChecksum: string | null;
  latestVersion: number | null;
  latestType: string | null;
  latestChecksum: string | null;
  entryVersion: number | null;
  entryType: string | null;
  entryChecksum: string | null;
  chain: string | null;
  /** The version with which the log begins. */
  oldest: number | null;
  /** Of all namespaces; null when nothing was ever compacted. */
  highestFloor: number | null;
  /** Of the key's namespace. */
  floor: number | null;
}

/**
 * Whether a key of which the log has nothing up to the version did not exist then. Retention removes the beginning of
 * other namespaces' history too; a log that begins late without it was cut by something else.
 */
function logIsWhole({ oldest, highestFloor, floor }: TruthRow, version: number): boolean {
  return floor === null ? oldest === 1 || highestFloor !== null : floor <= version + 1;
}

interface ValueRow extends KeyName {
  version: number;
  value: Buffer;
  contentType: string;
  checksum: string;
  updatedAt: Date;
}

function rowsOf(row: TruthRow) {
  return {
    logged: operationOf(row.loggedVersion, row.loggedType, row.loggedChecksum),
    latest: operationOf(row.latestVersion, row.latestType, row.latestChecksum),
    entry: stateOf(row.entryVersion, row.entryType, row.entryChecksum),
  };
}

function operationOf(version: number | null, contentType: string | null, checksum: string | null) {
  return version === null ? null : { version, state: stateOf(version, contentType, checksum) };
}

function stateOf(
  version: number | null,
  contentType: string | null,
  checksum: string | null,
): KeyState | null {
  if (version === null || contentType === null || checksum === null) return null;
  return { version, contentType, checksum };
}
