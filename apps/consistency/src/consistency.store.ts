import { Injectable } from '@nestjs/common';
import type {
  ConsistencyRepaired,
  ConsistencyReport,
  ConsistencyRound,
  Difference,
  FoundDifferences,
  NodeConsistency,
  TruthCompared,
} from '#libs/contracts';
import type { JournalRows, OutboxEvent } from '#libs/messaging';
import { InstanceRows, migrate, PrimaryPool } from '#libs/postgres';
import type { RepairHistory } from './domain/repair-plan.js';
import { CONSISTENCY_MIGRATIONS } from './migrations/index.js';

export interface RepairRow {
  id: string;
  findingId: number | null;
  repaired: ConsistencyRepaired;
}

/** What happened, and what the world is told of it: written as one statement. */
export interface Happened {
  repairs: readonly RepairRow[];
  facts: readonly OutboxEvent[];
}

export type NodeConsistencyRow = NodeConsistency & { differences: readonly Difference[]; more: number };

const ROUNDS_KEPT = 500;
const REPAIRS_KEPT_DAYS = 90;
const FACTS_KEPT_DAYS = 7;
const SHOWN = 50;

/** The tables of the consistency service. */
@Injectable()
export class ConsistencyStore implements JournalRows<Happened> {
  readonly instances: InstanceRows;

  constructor(private readonly pool: PrimaryPool) {
    this.instances = new InstanceRows(pool, 'consistency');
  }

  migrate(): Promise<void> {
    return migrate(this.pool, 'consistency', CONSISTENCY_MIGRATIONS);
  }

  async save({ repairs, facts }: Happened): Promise<'saved' | 'taken'> {
    const rows = repairs.map(({ id, findingId, repaired }) => ({ id, findingId, ...repaired }));
    await this.pool.query({
      name: 'consistency.save',
      text: `with f as (
          insert into consistency.facts (id, subject, payload)
          select id, subject, payload from jsonb_to_recordset($2::jsonb) as f (id text, subject text, payload jsonb)
          on conflict do nothing
        ) insert into consistency.repairs
            (id, place, difference, namespace, key, outcome, why, version, observer, at, finding_id)
          select id, place, nullif(difference, 'null'), difference->>'namespace', difference->>'key', outcome, why, version,
            observer, at, "findingId"
          from jsonb_to_recordset($1::jsonb) as r (id text, place text, difference jsonb, outcome text, why text,
            version int8, observer text, at timestamptz, "findingId" int8)
          on conflict do nothing`,
      values: [JSON.stringify(rows), JSON.stringify(facts)],
    });
    return 'saved';
  }

  async saveNodes(rows: readonly NodeConsistencyRow[]): Promise<void> {
    await this.pool.query({
      name: 'consistency.save-nodes',
      text: `insert into consistency.nodes
          (node_id, result, reason, since, checked_at, version, observer, differences, more)
        select "nodeId", result, reason, since, "checkedAt", version, observer, differences, more
        from jsonb_to_recordset($1::jsonb) as n ("nodeId" text, result text, reason text, since timestamptz,
          "checkedAt" timestamptz, version int8, observer text, differences jsonb, more int)
        on conflict (node_id) do update set result = excluded.result, reason = excluded.reason, since = excluded.since,
          checked_at = excluded.checked_at, version = excluded.version, observer = excluded.observer,
          differences = excluded.differences, more = excluded.more`,
      values: [JSON.stringify(rows)],
    });
  }

  async forgetNode(nodeId: string): Promise<void> {
    await this.pool.query({ text: 'delete from consistency.nodes where node_id = $1', values: [nodeId] });
  }

  /** Continues the instance's last row when it found the same. */
  async saveRound(round: Omit<ConsistencyRound, 'rounds' | 'firstAt'>): Promise<void> {
    const { observer, lastAt, version, match, mismatch, unknown } = round;
    await this.pool.query({
      name: 'consistency.save-round',
      text: `with last as (
          select id, match, mismatch, "unknown" from consistency.rounds where observer = $1 order by id desc limit 1
        ), same as (
          update consistency.rounds as r set rounds = r.rounds + 1, last_at = $2::timestamptz, version = $3
          from last where r.id = last.id and last.match = $4 and last.mismatch = $5 and last."unknown" = $6
          returning r.id
        ) insert into consistency.rounds (observer, rounds, first_at, last_at, version, match, mismatch, "unknown")
          select $1, 1, $2::timestamptz, $2::timestamptz, $3, $4, $5, $6 where not exists (select from same)`,
      values: [observer, lastAt, version, match, mismatch, unknown],
    });
  }

  async nodes(): Promise<NodeConsistencyRow[]> {
    const { rows } = await this.pool.query<NodeConsistencyRow & { since: Date; checkedAt: Date }>({
      name: 'consistency.nodes',
      text: `select node_id as "nodeId", result, reason, since, checked_at as "checkedAt", version, observer,
          differences, more from consistency.nodes order by node_id`,
    });
    return rows.map((row) => ({
      ...row,
      since: row.since.toISOString(),
      checkedAt: row.checkedAt.toISOString(),
    }));
  }

  /** What was done to a node lately: a key counts for an hour. */
  async history(place: string): Promise<RepairHistory> {
    const { rows } = await this.pool.query<{ name: string | null; outcome: string; agoMs: number }>({
      name: 'consistency.history',
      text: `select namespace || chr(1) || key as name, outcome,
          (extract(epoch from clock_timestamp() - at) * 1000)::float8 as "agoMs"
        from consistency.repairs
        where place = $1 and outcome in ('repaired', 'reloaded') and at > clock_timestamp() - interval '1 hour'
        order by at desc limit 2000`,
      values: [place],
    });
    const reloads = rows.filter(({ outcome }) => outcome === 'reloaded').map(({ agoMs }) => agoMs);
    const keys = rows.flatMap(({ name }) => (name === null ? [] : [name.replace('\u0001', '\0')]));
    return { repaired: new Set(keys), resyncedAgoMs: reloads.length === 0 ? null : Math.min(...reloads) };
  }

  async lastFindingId(): Promise<number> {
    const { rows } = await this.pool.query<{ last: number | null }>({
      text: 'select max(finding_id) as last from consistency.repairs',
    });
    return rows[0]?.last ?? 0;
  }

  async saveTruth(compared: TruthCompared): Promise<void> {
    await this.pool.query({
      name: 'consistency.save-truth',
      text: `insert into consistency.truth (id, compared, at) values (1, $1::jsonb, clock_timestamp())
        on conflict (id) do update set compared = excluded.compared, at = excluded.at`,
      values: [JSON.stringify(compared)],
    });
  }

  /** Null: never, or longer ago than `withinMs` by the database's clock. */
  async truth(withinMs = Number.MAX_SAFE_INTEGER): Promise<TruthCompared | null> {
    const { rows } = await this.pool.query<{ compared: TruthCompared }>({
      name: 'consistency.last-truth',
      text: `select compared from consistency.truth
        where extract(epoch from clock_timestamp() - at) * 1000 <= $1::float8`,
      values: [withinMs],
    });
    return rows[0]?.compared ?? null;
  }

  async report(): Promise<Omit<ConsistencyReport, 'discarded'>> {
    const [nodes, rounds, repairs, truth] = await Promise.all([
      this.nodes(),
      this.rounds(),
      this.repairs(),
      this.truth(),
    ]);
    return {
      truth,
      nodes: nodes.map(({ differences: _differences, more: _more, ...node }) => node),
      open: nodes.flatMap(openOf),
      rounds,
      repairs,
    };
  }

  async prune(): Promise<void> {
    await this.pool.query({
      text: `with r as (
          delete from consistency.rounds where id <= (select max(id) - ${ROUNDS_KEPT} from consistency.rounds)
        ), a as (
          delete from consistency.repairs where at < clock_timestamp() - interval '${REPAIRS_KEPT_DAYS} days'
        ) delete from consistency.facts where at < clock_timestamp() - interval '${FACTS_KEPT_DAYS} days'`,
    });
  }

  private async rounds(): Promise<ConsistencyRound[]> {
    const { rows } = await this.pool.query<ConsistencyRound & { firstAt: Date; lastAt: Date }>({
      name: 'consistency.rounds',
      text: `select observer, rounds, first_at as "firstAt", last_at as "lastAt", version, match, mismatch, "unknown"
        from consistency.rounds order by id desc limit ${SHOWN}`,
    });
    return rows.map((row) => ({
      ...row,
      firstAt: row.firstAt.toISOString(),
      lastAt: row.lastAt.toISOString(),
    }));
  }

  private async repairs(): Promise<ConsistencyRepaired[]> {
    const { rows } = await this.pool.query<ConsistencyRepaired & { at: Date }>({
      name: 'consistency.repairs',
      text: `select place, difference, outcome, why, version, observer, at
        from consistency.repairs order by at desc limit ${SHOWN}`,
    });
    return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
  }
}

function openOf({ nodeId, result, differences, more }: NodeConsistencyRow): FoundDifferences[] {
  return result === 'mismatch' ? [{ nodeId, differences: [...differences], more }] : [];
}
