import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { type GetNodeReply, HealthChanged, NodeHold, VERDICT_REASONS } from '#libs/contracts';
import type { OutboxEvent } from '#libs/messaging';
import { migrate, PrimaryPool } from '#libs/postgres';
import type { MemberRecord, StoredEvidence, Transition } from './domain/member.js';
import { REGISTRY_MIGRATIONS } from './migrations/index.js';

/** What one change of a member leaves behind, written as one statement. */
export interface MemberEntry {
  record: MemberRecord;
  /** Absent when a member left. */
  transition: Transition | undefined;
  /** RFC 3339. */
  at: string;
  evidence: Record<string, unknown> | null;
  standing: StoredEvidence;
  facts: OutboxEvent[];
}

export interface StoredMember {
  record: MemberRecord;
  /** Null when it was kept by a release that did not write it, or another writes it otherwise. */
  standing: StoredEvidence | null;
}

const StoredStanding = z.object({
  verdict: z.object({ verdict: z.enum(['failed', 'degraded']), reason: z.enum(VERDICT_REASONS) }).nullable(),
  verdictSeq: z.number().default(0),
  health: HealthChanged.nullable(),
});

const TRANSITIONS_KEPT = 100;
const FACTS_KEPT_DAYS = 7;

const COLUMNS = `node_id as "nodeId", kind, role, address, incarnation, status, reason, status_seq as "statusSeq", version,
  term, last_heartbeat_at as "lastHeartbeatAt", registered_at as "registeredAt", metadata, left_at is not null as left, standing`;

/** The registry's tables. Every statement applies only what is greater, so that instances may write at once. */
@Injectable()
export class RegistryStore {
  constructor(private readonly pool: PrimaryPool) {}

  migrate(): Promise<void> {
    return migrate(this.pool, 'registry', REGISTRY_MIGRATIONS);
  }

  async load(): Promise<StoredMember[]> {
    const { rows } = await this.pool.query<MemberRow>({
      name: 'registry.load',
      text: `select ${COLUMNS} from registry.nodes`,
    });
    return rows.map(memberOf);
  }

  async read(nodeId: string): Promise<StoredMember | undefined> {
    const { rows } = await this.pool.query<MemberRow>({
      name: 'registry.read',
      text: `select ${COLUMNS} from registry.nodes where node_id = $1`,
      values: [nodeId],
    });
    return rows[0] && memberOf(rows[0]);
  }

  /** `taken`: another instance gave this statusSeq first; nothing was written. */
  async save({ record, transition, at, evidence, standing, facts }: MemberEntry): Promise<'saved' | 'taken'> {
    const { rows } = await this.pool.query<{ saved: boolean }>({
      name: 'registry.save',
      text: `with t as (
          insert into registry.transitions (node_id, status_seq, incarnation, from_status, to_status, reason, evidence, at)
          select $1::text, $8::int8, $5::int8, $15::text, $6::text, $7::text, $17::jsonb, $16::timestamptz where $14::bool
          on conflict do nothing returning 1
        ), go as (select not $14::bool or exists (select from t) as ok
        ), n as (
          insert into registry.nodes as n (node_id, kind, role, address, incarnation, status, reason, status_seq, version,
            term, last_heartbeat_at, registered_at, metadata, left_at, standing)
          select $1::text, $2::text, $3::text, $4::text, $5::int8, $6::text, $7::text, $8::int8, $9::int8, $10::int8,
            $11::timestamptz, $12::timestamptz, $13::jsonb, $19::timestamptz, $20::jsonb from go where ok
          on conflict (node_id) do update set kind = excluded.kind, role = excluded.role, address = excluded.address,
            incarnation = excluded.incarnation, status = excluded.status, reason = excluded.reason,
            status_seq = excluded.status_seq, version = excluded.version, term = excluded.term,
            last_heartbeat_at = excluded.last_heartbeat_at, registered_at = excluded.registered_at,
            metadata = excluded.metadata, left_at = excluded.left_at, standing = excluded.standing
          where (n.incarnation, n.status_seq) < (excluded.incarnation, excluded.status_seq)
             or ((n.incarnation, n.status_seq) = (excluded.incarnation, excluded.status_seq)
                 and n.left_at is null and excluded.left_at is not null)
        ), f as (
          insert into registry.facts (id, subject, payload, at)
          select id, subject, payload, $16::timestamptz from go, jsonb_to_recordset($18::jsonb) as f (id text, subject text, payload jsonb)
          where ok on conflict do nothing
        ) select ok as saved from go`,
      values: [
        record.nodeId,
        record.kind,
        record.role,
        record.address,
        record.incarnation,
        record.status,
        record.reason,
        record.statusSeq,
        record.version,
        record.term,
        record.lastHeartbeatAt,
        record.registeredAt,
        JSON.stringify(record.metadata),
        transition !== undefined,
        transition?.from ?? null,
        at,
        evidence && JSON.stringify(evidence),
        JSON.stringify(facts),
        record.left ? at : null,
        JSON.stringify(standing),
      ],
    });
    return rows[0]?.saved ? 'saved' : 'taken';
  }

  /** The heartbeats of many members at once: a row each time would cost more than all else that this service does. */
  async saveHeartbeats(records: readonly MemberRecord[]): Promise<void> {
    await this.pool.query({
      name: 'registry.heartbeats',
      text: `update registry.nodes as n
        set role = b.role, version = b.version, term = b.term, last_heartbeat_at = b.at, address = b.address
        from unnest($1::text[], $2::int8[], $3::text[], $4::int8[], $5::int8[], $6::timestamptz[], $7::text[])
          as b (node_id, incarnation, role, version, term, at, address)
        where n.node_id = b.node_id and n.incarnation = b.incarnation and n.left_at is null
          and (n.last_heartbeat_at is null or n.last_heartbeat_at < b.at)`,
      values: [
        records.map((record) => record.nodeId),
        records.map((record) => record.incarnation),
        records.map((record) => record.role),
        records.map((record) => record.version),
        records.map((record) => record.term),
        records.map((record) => record.lastHeartbeatAt),
        records.map((record) => record.address),
      ],
    });
  }

  async saveHold(hold: NodeHold): Promise<void> {
    await this.pool.query({
      name: 'registry.save-hold',
      text: `insert into registry.holds as h (node_id, seq, hold) values ($1, $2, $3::jsonb)
        on conflict (node_id) do update set seq = excluded.seq, hold = excluded.hold where h.seq < excluded.seq`,
      values: [hold.nodeId, hold.seq, JSON.stringify(hold)],
    });
  }

  async holds(): Promise<NodeHold[]> {
    const { rows } = await this.pool.query<{ hold: unknown }>({
      name: 'registry.holds',
      text: 'select hold from registry.holds',
    });
    return rows.map(({ hold }) => NodeHold.safeParse(hold).data).filter((hold) => hold !== undefined);
  }

  async transitions(nodeId: string, limit: number): Promise<NodeTransition[]> {
    const { rows } = await this.pool.query<TransitionRow>({
      name: 'registry.transitions',
      text: `select node_id as "nodeId", incarnation, status_seq as "statusSeq", from_status as "from",
          to_status as "to", reason, evidence, at
        from registry.transitions where node_id = $1 order by status_seq desc limit $2`,
      values: [nodeId, limit],
    });
    return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
  }

  /** Keeps the history bounded. */
  async prune(): Promise<void> {
    await this.pool.query({
      text: `delete from registry.transitions as t using (
          select node_id, max(status_seq) - ${TRANSITIONS_KEPT} as floor from registry.transitions group by node_id
        ) as f where t.node_id = f.node_id and t.status_seq <= f.floor`,
    });
    await this.pool.query({
      text: `delete from registry.facts where at < clock_timestamp() - interval '${FACTS_KEPT_DAYS} days'`,
    });
  }
}

type NodeTransition = GetNodeReply['transitions'][number];
type MemberRow = Omit<MemberRecord, 'lastHeartbeatAt' | 'registeredAt'> & {
  lastHeartbeatAt: Date | null;
  registeredAt: Date;
  standing: unknown;
};
type TransitionRow = Omit<NodeTransition, 'at'> & { at: Date };

function memberOf({ standing, ...row }: MemberRow): StoredMember {
  const record = {
    ...row,
    lastHeartbeatAt: row.lastHeartbeatAt?.toISOString() ?? null,
    registeredAt: row.registeredAt.toISOString(),
  };
  const parsed = StoredStanding.safeParse(standing);
  return { record, standing: parsed.success ? parsed.data : null };
}
