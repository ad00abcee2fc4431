import { Injectable } from '@nestjs/common';
import type { NodeHold, RecoveryStep } from '#libs/contracts';
import type { OutboxEvent } from '#libs/messaging';
import { PrimaryPool } from '#libs/postgres';
import type { HoldRow, RecoveryPlan, RecoveryRow, VerdictRow } from '../domain/recovery/recovery.types.js';
import { factsOf, holdOf } from './recovery-events.js';

/** What plans are made from: all of it as it stood at one moment. */
export interface RecoverySnapshot {
  /** A plan made from this may be written only while this number stands. */
  planSeq: number;
  /** By Postgres' clock, as are all times of the rows. */
  nowMs: number;
  /** Live witnesses. */
  witnesses: number;
  recoveries: RecoveryRow[];
  holds: HoldRow[];
  verdicts: VerdictRow[];
}

const WITNESS_LIVES_MS = 2_000;
const STEPS_KEPT_DAYS = 30;

const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;
const at = (name: string) => `to_timestamp(${name} / 1000.0)`;
const rows = (select: string) => `(select coalesce(json_agg(r), '[]') from (${select}) as r)`;

/** Rows of recoveries and holds. Reads and writes are one statement each. */
@Injectable()
export class RecoveryStore {
  constructor(private readonly pool: PrimaryPool) {}

  async read(): Promise<RecoverySnapshot> {
    const { rows: found } = await this.pool.query<RecoverySnapshot>({
      name: 'failover.recovery-read',
      text: `select seq as "planSeq", ${ms('clock_timestamp()')} as "nowMs",
        (select count(*)::int4 from failover.witnesses
          where renewed_at > clock_timestamp() - interval '${WITNESS_LIVES_MS} ms') as witnesses,
        ${rows(`select node_id as "nodeId", seq, state, incarnation, verdict_seq as "verdictSeq", attempt, planned, why, by,
          ${ms('began_at')} as "beganAtMs", ${ms('due_at')} as "dueAtMs",
          json_build_object('value', flaps, 'atMs', ${ms('flaps_at')}) as flaps from failover.recoveries`)} as recoveries,
        ${rows(`select node_id as "nodeId", seq, drained, ${ms('quarantined_until')} as "quarantinedUntilMs", quarantines,
          by, why, ${ms('at')} as "atMs" from failover.holds`)} as holds,
        ${rows(`select node_id as "nodeId", incarnation, seq, verdict = 'failed' as failed, reason,
          jsonb_array_length(confirmed_by) > 0 as confirmed, coalesce((evidence->>'announcedStop')::boolean, false) as announced
          from failover.verdicts`)} as verdicts
        from failover.recovery_plan where id = 1`,
      timeoutMs: 1_000,
    });
    const [state] = found;
    if (!state) throw new Error('failover.recovery_plan is empty');
    return state;
  }

  /** All of the plan with its facts, or undefined: somebody else has acted since the rows were read. */
  async carryOut(plan: RecoveryPlan, read: RecoverySnapshot): Promise<OutboxEvent[] | undefined> {
    const facts = factsOf(plan, read.nowMs);
    const { rows: won } = await this.pool.query({
      name: 'failover.recovery-write',
      text: `with p as (update failover.recovery_plan set seq = seq + 1 where id = 1 and seq = $1 returning seq),
        r as (insert into failover.recoveries (node_id, seq, state, incarnation, verdict_seq, attempt, planned, why, by,
            began_at, due_at, flaps, flaps_at)
          select "nodeId", x.seq, state, incarnation, "verdictSeq", attempt, planned, why, by,
            ${at('"beganAtMs"')}, ${at('"dueAtMs"')}, (flaps->>'value')::float8, ${at(`(flaps->>'atMs')::float8`)}
          from p, jsonb_to_recordset($2) as x("nodeId" text, seq int8, state text, incarnation int8, "verdictSeq" int8,
            attempt int4, planned boolean, why text, by text, "beganAtMs" float8, "dueAtMs" float8, flaps jsonb)
          on conflict (node_id) do update set seq = excluded.seq, state = excluded.state, incarnation = excluded.incarnation,
            verdict_seq = excluded.verdict_seq, attempt = excluded.attempt, planned = excluded.planned, why = excluded.why,
            by = excluded.by, began_at = excluded.began_at, due_at = excluded.due_at, flaps = excluded.flaps,
            flaps_at = excluded.flaps_at),
        s as (insert into failover.recovery_steps (node_id, seq, state, incarnation, attempt, planned, why, by, at)
          select "nodeId", x.seq, state, incarnation, attempt, planned, why, by, ${at('$6::float8')}
          from p, jsonb_to_recordset($3) as x("nodeId" text, seq int8, state text, incarnation int8, attempt int4,
            planned boolean, why text, by text)),
        h as (insert into failover.holds (node_id, seq, drained, quarantined_until, quarantines, by, why, at)
          select "nodeId", x.seq, drained, ${at('"quarantinedUntilMs"')}, quarantines, by, why, ${at('"atMs"')}
          from p, jsonb_to_recordset($4) as x("nodeId" text, seq int8, drained boolean, "quarantinedUntilMs" float8,
            quarantines int4, by text, why text, "atMs" float8)
          on conflict (node_id) do update set seq = excluded.seq, drained = excluded.drained,
            quarantined_until = excluded.quarantined_until, quarantines = excluded.quarantines, by = excluded.by,
            why = excluded.why, at = excluded.at),
        f as (insert into failover.facts (id, subject, payload)
          select x.id, subject, payload from p, jsonb_to_recordset($5) as x(id text, subject text, payload jsonb))
        select seq from p`,
      values: [
        read.planSeq,
        JSON.stringify(latest([...plan.notes, ...plan.steps])),
        JSON.stringify(plan.steps),
        JSON.stringify(latest(plan.holds)),
        JSON.stringify(facts),
        read.nowMs,
      ],
      timeoutMs: 1_500,
    });
    return won.length === 1 ? facts : undefined;
  }

  /** Also of nodes that are no longer kept out: the greatest seq of a node counts. */
  async holds(): Promise<NodeHold[]> {
    return (await this.read()).holds.map(holdOf);
  }

  /** Newest first. */
  async steps(limit: number, nodeId?: string): Promise<RecoveryStep[]> {
    const { rows: steps } = await this.pool.query<Omit<RecoveryStep, 'at'> & { at: Date }>({
      name: nodeId === undefined ? 'failover.recovery-steps' : 'failover.recovery-steps-of',
      text: `select node_id as "nodeId", seq, state, incarnation, attempt, planned, why, by, at from failover.recovery_steps
        ${nodeId === undefined ? '' : 'where node_id = $2'} order by ${nodeId === undefined ? 'at desc, node_id, seq desc' : 'seq desc'} limit $1`,
      values: nodeId === undefined ? [limit] : [limit, nodeId],
    });
    return steps.map((step) => ({ ...step, at: step.at.toISOString() }));
  }

  async prune(): Promise<void> {
    await this.pool.query({
      text: `delete from failover.recovery_steps where at < clock_timestamp() - interval '${STEPS_KEPT_DAYS} days'`,
    });
  }
}

/** Of several rows of one node the one with the most steps. */
function latest<R extends { nodeId: string; seq: number }>(all: readonly R[]): R[] {
  const byNode = new Map<string, R>();
  for (const row of all) if (row.seq >= (byNode.get(row.nodeId)?.seq ?? 0)) byNode.set(row.nodeId, row);
  return [...byNode.values()];
}
