import { Injectable } from '@nestjs/common';
import { LeaderElected } from '#libs/contracts';
import { sleep } from '#libs/kernel';
import { PrimaryPool, type Rows, type Statement, StatementRefused } from '#libs/postgres';

/** `config.head` as failover sees it. */
export interface LeaderHead {
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
/** A claim that waits for its lock is seen waiting within this time. */
const LOOK_EVERY_MS = 5;
const LOCK_NOT_AVAILABLE = '55P03';

/** $1 seen term, $2 suspect, $3 winner, $4 its incarnation, $5 highest term, $6 its address, $7.. the election's record. */
const CLAIM = `with s as (select set_config('lock_timeout', '${LOCK_TIMEOUT_MS}ms', true) as set),
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
from e returning payload`;

/** Reads the head, and claims it for a new leader: the one statement that decides an election. */
@Injectable()
export class HeadStore {
  constructor(private readonly pool: PrimaryPool) {}

  async read(): Promise<LeaderHead> {
    const { rows } = await this.pool.query<LeaderHead>({
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
    return electedBy(this.pool.query<ClaimRow>(claimStatement(claim)));
  }

  /**
   * The same, for whoever found the head locked: while the claim waits, the backends that it waits for are ended. Of those
   * that wait themselves none is: an UPDATE that stands in the queue before the claim gets its turn and is soon done.
   */
  claimFromHolders(claim: Claim): Promise<{ elected: LeaderElected | undefined; ended: number }> {
    return this.pool.withConnection(async (waiter) => {
      let isOver = false;
      const elected = electedBy(waiter.send<ClaimRow>(claimStatement(claim))).finally(() => {
        isOver = true;
      });
      elected.catch(() => undefined); // whoever awaits it below is told
      let ended = 0;
      while (!isOver && ended === 0) {
        ended = await this.endHoldersOf(waiter.backendPid);
        if (ended === 0) await sleep(LOOK_EVERY_MS);
      }
      return { elected: await elected, ended };
    });
  }

  /** Ends the backends, other than failover's own, at the root of what this one waits for. */
  private async endHoldersOf(backendPid: number): Promise<number> {
    const { rowCount } = await this.pool.query({
      name: 'failover.end-blockers',
      text: `with recursive before (pid) as (
          select unnest(pg_blocking_pids($1))
          union
          select unnest(pg_blocking_pids(before.pid)) from before
        )
        select pg_terminate_backend(a.pid) from before join pg_stat_activity as a on a.pid = before.pid
        where cardinality(pg_blocking_pids(before.pid)) = 0 and a.usename is distinct from current_user`,
      values: [backendPid],
      timeoutMs: 1_000,
    });
    return rowCount;
  }
}

interface ClaimRow {
  payload: unknown;
}

function claimStatement(claim: Claim): Statement {
  return {
    name: 'failover.claim',
    text: CLAIM,
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
  };
}

/** Rejects with HeadLocked when somebody's transaction held the head row for too long. */
async function electedBy(claimed: Promise<Rows<ClaimRow>>): Promise<LeaderElected | undefined> {
  try {
    const { rows } = await claimed;
    return rows[0] && LeaderElected.parse(rows[0].payload);
  } catch (error) {
    if (error instanceof StatementRefused && error.sqlState === LOCK_NOT_AVAILABLE) {
      throw new HeadLocked('the head row is locked', { cause: error });
    }
    throw error;
  }
}
