import { Injectable } from '@nestjs/common';
import type { NodeVerdict, ReplyPayload, VerdictReason } from '#libs/contracts';
import type { OutboxEvent } from '#libs/messaging';
import { migrate, PrimaryPool } from '#libs/postgres';
import type { GivenVerdict } from './domain/detection/detector.types.js';
import { FAILOVER_MIGRATIONS } from './migrations/index.js';

type Election = ReplyPayload<'failover.elections'>['elections'][number];

const WITNESS_LIVES_MS = 2_000;
const FACTS_KEPT_DAYS = 7;
/** Several witnesses come to the same verdict within milliseconds: one announcement serves all. */
const JUST_TOLD_MS = 250;
const LATELY = `clock_timestamp() - interval '1 second'`;

type WitnessView = { instanceId: string; view: 'connected' | 'lost' | 'unknown' | 'paused'; agrees: boolean };
interface ViewSubject {
  nodeId: string;
  incarnation: number;
  reason: Exclude<VerdictReason, 'handover'>;
}

/** Failover's own tables: witnesses, verdicts, past elections, and the facts that have yet to be told. */
@Injectable()
export class FailoverStore {
  constructor(private readonly pool: PrimaryPool) {}

  migrate(): Promise<void> {
    return migrate(this.pool, 'failover', FAILOVER_MIGRATIONS);
  }

  /** Says that this witness lives and can write, and learns who else does. */
  async renew(instanceId: string): Promise<string[]> {
    const { rows } = await this.pool.query<{ instanceId: string }>({
      name: 'failover.renew',
      text: `with me as (
          insert into failover.witnesses (instance_id, renewed_at) values ($1, clock_timestamp())
          on conflict (instance_id) do update set renewed_at = excluded.renewed_at
        ) select instance_id as "instanceId" from failover.witnesses
          where renewed_at > clock_timestamp() - interval '${WITNESS_LIVES_MS} ms' and instance_id <> $1`,
      values: [instanceId],
      timeoutMs: 1_000,
    });
    return rows.map((row) => row.instanceId);
  }

  /** Leaves at once instead of being missed for 2 s. */
  async resign(instanceId: string): Promise<void> {
    await this.pool.query({
      text: 'delete from failover.witnesses where instance_id = $1',
      values: [instanceId],
    });
  }

  /** Writes down what this witness sees of a node, as a question or as an answer to one. */
  async saveView(subject: ViewSubject, testimony: WitnessView, asks: boolean): Promise<void> {
    await this.pool.query({
      name: 'failover.save-view',
      text: `insert into failover.views (instance_id, node_id, incarnation, reason, view, agrees, asks, at)
        values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
        on conflict (instance_id, node_id) do update set incarnation = excluded.incarnation, reason = excluded.reason,
          view = excluded.view, agrees = excluded.agrees, asks = excluded.asks, at = excluded.at`,
      values: [
        testimony.instanceId,
        subject.nodeId,
        subject.incarnation,
        subject.reason,
        testimony.view,
        testimony.agrees,
        asks,
      ],
    });
  }

  /** What the others have lately written about the same suspicion. */
  async views(instanceId: string, subject: ViewSubject): Promise<WitnessView[]> {
    const { rows } = await this.pool.query<WitnessView>({
      name: 'failover.views',
      text: `select instance_id as "instanceId", view, agrees from failover.views
        where node_id = $2 and incarnation = $3 and reason = $4 and instance_id <> $1 and at > ${LATELY}`,
      values: [instanceId, subject.nodeId, subject.incarnation, subject.reason],
    });
    return rows;
  }

  /** Questions of others that this witness has not answered lately. */
  async openQuestions(instanceId: string): Promise<(ViewSubject & { askedBy: string })[]> {
    const { rows } = await this.pool.query<ViewSubject & { askedBy: string }>({
      name: 'failover.questions',
      text: `select q.instance_id as "askedBy", q.node_id as "nodeId", q.incarnation, q.reason from failover.views as q
        where q.asks and q.instance_id <> $1 and q.at > ${LATELY} and not exists (
          select from failover.views as mine where mine.instance_id = $1 and mine.node_id = q.node_id
            and mine.incarnation = q.incarnation and mine.reason = q.reason and mine.at > ${LATELY})`,
      values: [instanceId],
    });
    return rows;
  }

  /**
   * The fact to announce. A verdict that stands already is announced again, under the id that it has: whoever said so
   * again may have heard something else meanwhile, and so may others. Undefined when another witness has just announced
   * it, or a newer incarnation was judged.
   */
  async saveVerdict(verdict: NodeVerdict): Promise<OutboxEvent | undefined> {
    const subject = verdict.verdict === 'clear' ? 'node.recovered' : 'node.failed';
    const { rows } = await this.pool.query<OutboxEvent>({
      name: 'failover.verdict',
      text: `with v as (
          insert into failover.verdicts as v (node_id, incarnation, seq, verdict, reason, judged_by, confirmed_by, evidence, at)
          values ($1, $2, 1, $3, $4, $5, $6, $7, $8)
          on conflict (node_id) do update
            set incarnation = excluded.incarnation, seq = v.seq + 1, verdict = excluded.verdict, reason = excluded.reason,
              judged_by = excluded.judged_by, confirmed_by = excluded.confirmed_by, evidence = excluded.evidence, at = excluded.at
          where v.incarnation < excluded.incarnation or v.incarnation = excluded.incarnation
            and (v.verdict, v.reason) is distinct from (excluded.verdict, excluded.reason)
          returning seq
        ), f as (
          insert into failover.facts (id, subject, payload)
          select $9::text || '/' || $1 || '/' || seq, $9::text, $10::jsonb || jsonb_build_object('seq', seq) from v
          returning id, subject, payload
        )
        select id, subject, payload from f
        union all
        select $9::text || '/' || $1 || '/' || seq, $9::text, $10::jsonb || jsonb_build_object('seq', seq)
          from failover.verdicts
          where not exists (select from v) and node_id = $1 and incarnation = $2
            and (verdict, reason) is not distinct from ($3, $4)
            and not exists (select from failover.facts as told
              where told.id = $9::text || '/' || $1 || '/' || verdicts.seq
                and told.at > clock_timestamp() - interval '${JUST_TOLD_MS} ms')`,
      values: [
        verdict.nodeId,
        verdict.incarnation,
        verdict.verdict,
        verdict.reason,
        verdict.judgedBy,
        JSON.stringify(verdict.confirmedBy),
        JSON.stringify(verdict.evidence),
        verdict.at,
        subject,
        JSON.stringify(verdict),
      ],
    });
    return rows[0];
  }

  /** Verdicts that stand, for a witness that has just started or to whom the bus is silent. */
  async verdicts(): Promise<GivenVerdict[]> {
    const { rows } = await this.pool.query<GivenVerdict>({
      name: 'failover.verdicts',
      text: 'select node_id as "nodeId", incarnation, verdict, reason, seq from failover.verdicts',
    });
    return rows;
  }

  /** The first write of a term is looked up when asked for: the election itself must not wait for it. */
  async elections(limit: number): Promise<Election[]> {
    const { rows } = await this.pool.query<ElectionRow>({
      name: 'failover.elections',
      text: `select e.term, e.leader_id as "leaderId", e.previous_leader_id as "previousLeaderId", e.version, e.reason,
          e.evidence, e.elected_by as "electedBy", e.elected_at as "electedAt", e.detect_ms as "detectMs",
          e.elect_ms as "electMs", w.created_at as "firstWriteAt"
        from failover.elections as e
        left join lateral (
          select created_at, coalesce(lost_from, c.version) as version
          from config.changes as c where c.term = e.term order by c.version limit 1
        ) as w on w.version = e.version + 1 -- else it was removed as old history
        order by e.term desc limit $1`,
      values: [limit],
    });
    return rows.map(electionOf);
  }

  /** Elections stay for ever: there are few. */
  async prune(): Promise<void> {
    await this.pool.query({
      text: `with w as (delete from failover.witnesses where renewed_at < clock_timestamp() - interval '1 hour'),
          v as (delete from failover.views where at < clock_timestamp() - interval '1 hour')
        delete from failover.facts where at < clock_timestamp() - interval '${FACTS_KEPT_DAYS} days'`,
    });
  }
}

type ElectionRow = Omit<Election, 'electedAt' | 'firstWriteAt' | 'timings'> & {
  electedAt: Date;
  firstWriteAt: Date | null;
  detectMs: number;
  electMs: number;
};

function electionOf(row: ElectionRow): Election {
  const { electedAt, firstWriteAt, detectMs, electMs, ...rest } = row;
  const firstWriteMs = firstWriteAt && firstWriteAt.getTime() - electedAt.getTime();
  return {
    ...rest,
    electedAt: electedAt.toISOString(),
    firstWriteAt: firstWriteAt?.toISOString() ?? null,
    timings: { detectMs, electMs, firstWriteMs },
  };
}
