import { Injectable } from '@nestjs/common';
import { LeaderElected } from '#libs/contracts';
import { PrimaryPool, StatementRefused } from '#libs/postgres';

/** `config.head` as failover sees it. */
export interface HeadRow {
  clusterId: string;
  version: number;
  chain: string;
  term: number;
  leaderId: string | null;
  incarnation: number;
}

export interface Claim {
  seenTerm: number;
  /** null: there has been no leader yet. */
  suspect: string | null;
  winner: { nodeId: string; incarnation: number; address: string };
  highestTerm: number;
  reason: LeaderElected['reason'];
  evidence: Record<string, unknown>;
  electedBy: string;
  detectMs: number;
  /** From the verdict to the sending of the claim. */
  electMs: number;
}

/** Somebody's transaction holds the head row. */
export class HeadLocked extends Error {
  override readonly name = 'HeadLocked';
}

const LOCK_TIMEOUT_MS = 100;
const LOCK_NOT_AVAILABLE = '55P03';

/** Reads the head, and claims it for a new leader: the one statement that decides an election. */
@Injectable()
export class HeadStore {
  constructor(private readonly pool: PrimaryPool) {}

  async read(): Promise<HeadRow> {
    const { rows } = await this.pool.query<HeadRow>({
      name: 'failover.head',
      text: `select cluster_id as "clusterId", version, encode(chain, 'hex') as chain, term, leader_id as "leaderId", incarnation
        from config.head where id = 1`,
      timeoutMs: 1_000,
    });
    const [head] = rows;
    if (!head) throw new Error('config.head is empty');
    return head;
  }

  /**
   * Compare-and-set with the election's record and the fact to be told, all or nothing. Undefined: the head no longer
   * says what was seen. The lock time-out is set by the statement itself, which saves two round trips.
   */
  async claim(claim: Claim): Promise<LeaderElected | undefined> {
    try {
      const { rows } = await this.pool.query<{ payload: unknown }>({
        name: 'failover.claim',
        text: `with s as (select set_config('lock_timeout', '${LOCK_TIMEOUT_MS}ms', true) as set),
          c as (
            select claimed.* from s, lateral config.claim(
              case when s.set is not null then $1::int8 end, $2::text, $3::text, $4::int8, $5::int8) as claimed
          ), e as (
            insert into failover.elections (term, leader_id, leader_address, incarnation, previous_leader_id, version, reason,
              evidence, elected_by, elected_at, detect_ms, elect_ms)
            select c.term, $3::text, $6::text, $4::int8, $2::text, c.version, $7::text, $8::jsonb, $9::text, c.elected_at,
              $10::float8, round(($11::float8 + extract(epoch from clock_timestamp() - statement_timestamp()) * 1000)::numeric, 1)
            from c returning *
          )
          insert into failover.facts (id, subject, payload)
          select 'leader.elected/' || term, 'leader.elected', jsonb_build_object(
            'term', term, 'leaderId', leader_id, 'leaderAddress', leader_address, 'incarnation', incarnation,
            'previousLeaderId', previous_leader_id, 'version', version, 'reason', reason,
            'timings', jsonb_build_object('detectMs', detect_ms, 'electMs', elect_ms),
            'at', to_char(elected_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
          from e returning payload`,
        values: [
          claim.seenTerm,
          claim.suspect,
          claim.winner.nodeId,
          claim.winner.incarnation,
          claim.highestTerm,
          claim.winner.address,
          claim.reason,
          JSON.stringify(claim.evidence),
          claim.electedBy,
          claim.detectMs,
          claim.electMs,
        ],
        timeoutMs: 1_500,
      });
      return rows[0] && LeaderElected.parse(rows[0].payload);
    } catch (error) {
      if (error instanceof StatementRefused && error.sqlState === LOCK_NOT_AVAILABLE) {
        throw new HeadLocked('the head row is locked', { cause: error });
      }
      throw error;
    }
  }

  /** Ends the backends, other than failover's own, that have written to the head and not yet committed. */
  async endBlockers(): Promise<number> {
    const { rowCount } = await this.pool.query({
      name: 'failover.end-blockers',
      text: `select pg_terminate_backend(l.pid) from pg_locks as l join pg_stat_activity as a on a.pid = l.pid
        where l.locktype = 'relation' and l.relation = 'config.head'::regclass and l.mode = 'RowExclusiveLock' and l.granted
          and l.database = (select oid from pg_database where datname = current_database())
          and a.usename is distinct from current_user`,
    });
    return rowCount;
  }
}
