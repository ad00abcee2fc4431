import { Injectable } from '@nestjs/common';
import type { CheckTransition, HealthReport } from '#libs/contracts';
import type { JournalRows, OutboxEvent } from '#libs/messaging';
import { InstanceRows, migrate, PrimaryPool } from '#libs/postgres';
import type { CheckMove } from './domain/node-check.js';
import { HEALTH_MIGRATIONS } from './migrations/index.js';

/** What one move of a node's checks leaves behind, written as one statement. */
export interface MoveEntry {
  move: CheckMove;
  facts: OutboxEvent[];
}

export type NodeHealthRow = Omit<HealthReport, 'transitions'> & { seq: number };

const TRANSITIONS_KEPT = 200;
const TRANSITIONS_KEPT_DAYS = 90;
const FACTS_KEPT_DAYS = 7;

/** The tables of the health service. It goes on without them, and writes what it kept when they can be written. */
@Injectable()
export class HealthStore implements JournalRows<MoveEntry> {
  readonly instances: InstanceRows;

  constructor(private readonly pool: PrimaryPool) {
    this.instances = new InstanceRows(pool, 'health');
  }

  migrate(): Promise<void> {
    return migrate(this.pool, 'health', HEALTH_MIGRATIONS);
  }

  async save({ move, facts }: MoveEntry): Promise<'saved' | 'taken'> {
    await this.pool.query({
      name: 'health.save',
      text: `with t as (
          insert into health.transitions (node_id, seq, incarnation, from_state, to_state, reason, observer, evidence, at)
          values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9::timestamptz) on conflict do nothing
        ) insert into health.facts (id, subject, payload, at)
          select id, subject, payload, $9::timestamptz from jsonb_to_recordset($10::jsonb) as f (id text, subject text, payload jsonb)
          on conflict do nothing`,
      values: [
        move.nodeId,
        move.seq,
        move.incarnation,
        move.from,
        move.to,
        move.reason,
        move.observer,
        JSON.stringify(move.evidence),
        move.at,
        JSON.stringify(facts),
      ],
    });
    return 'saved';
  }

  /** Many nodes at once; of one that two instances have probed, what was seen of the later change. */
  async saveNodes(nodes: readonly NodeHealthRow[], at: string): Promise<void> {
    await this.pool.query({
      name: 'health.save-nodes',
      text: `insert into health.nodes as n
          (node_id, incarnation, seq, state, reason, consecutive, observer, recent, updated_at)
        select f.*, $2::timestamptz from jsonb_to_recordset($1::jsonb) as f ("nodeId" text, incarnation int8, seq int8,
          state text, reason text, consecutive jsonb, observer text, recent jsonb)
        on conflict (node_id) do update set incarnation = excluded.incarnation, seq = excluded.seq,
          state = excluded.state, reason = excluded.reason, consecutive = excluded.consecutive,
          observer = excluded.observer, recent = excluded.recent, updated_at = excluded.updated_at
        where (n.incarnation, n.seq) <= (excluded.incarnation, excluded.seq)
           or n.updated_at < excluded.updated_at - interval '1 minute'`,
      values: [JSON.stringify(nodes), at],
    });
  }

  /** The highest number used for each node, by whomever. */
  async seqs(): Promise<{ nodeId: string; seq: number }[]> {
    const { rows } = await this.pool.query<{ nodeId: string; seq: number }>({
      text: 'select node_id as "nodeId", max(seq) as seq from health.transitions group by node_id',
    });
    return rows;
  }

  async node(nodeId: string): Promise<NodeHealthRow | undefined> {
    const { rows } = await this.pool.query<NodeHealthRow>({
      name: 'health.node',
      text: `select node_id as "nodeId", incarnation, seq, state, reason, consecutive, observer, recent
        from health.nodes where node_id = $1`,
      values: [nodeId],
    });
    return rows[0];
  }

  async transitions(nodeId: string, limit: number): Promise<CheckTransition[]> {
    const { rows } = await this.pool.query<Omit<CheckTransition, 'at'> & { at: Date }>({
      name: 'health.transitions',
      text: `select incarnation, seq, from_state as "from", to_state as "to", reason, observer, evidence, at
        from health.transitions where node_id = $1 order by seq desc limit $2`,
      values: [nodeId, limit],
    });
    return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
  }

  /** Keeps the history bounded, by number and by age. */
  async prune(): Promise<void> {
    await this.pool.query({
      text: `delete from health.transitions as t using (
          select node_id, seq, row_number() over (partition by node_id order by seq desc) as n from health.transitions
        ) as ranked where t.node_id = ranked.node_id and t.seq = ranked.seq
          and (ranked.n > ${TRANSITIONS_KEPT} or t.at < clock_timestamp() - interval '${TRANSITIONS_KEPT_DAYS} days')`,
    });
    await this.pool.query({
      text: `with n as (delete from health.nodes where updated_at < clock_timestamp() - interval '${TRANSITIONS_KEPT_DAYS} days')
        delete from health.facts where at < clock_timestamp() - interval '${FACTS_KEPT_DAYS} days'`,
    });
  }
}
