import type { VerdictReason } from '#libs/contracts';

/**
 * What one witness knows of one node, and what that proves. A table, as one function: the same
 * evidence gives the same assessment, whatever came first. All times are this process's monotonic milliseconds.
 */
export interface NodeEvidence {
  nodeId: string;
  incarnation: number;
  /** When it became known, until a heartbeat was heard. */
  heardAtMs: number;
  /** Since when heartbeats have come without a pause as long as the time-out. */
  steadySinceMs: number;
  /** Consecutive answers or misses of /ping; a refused connection is a miss. */
  pingOks: number;
  pingMisses: number;
  /** When the first of the present row of misses was sent. */
  missingSinceMs: number | undefined;
  /** A connection that we held. `closed` means: by the other side, and no new one was accepted since. */
  tether: 'none' | 'open' | 'closed';
  tetherClosedAtMs: number | undefined;
  /** New connections refused since it was closed. */
  refusedAtMs: number[];
  /** When the leader's fence was last confirmed, by what it told us. */
  fenceConfirmedAtMs: number | undefined;
}

/** What the witness knows beside the nodes. */
export interface Surroundings {
  nowMs: number;
  /** Since when heartbeats can be heard; undefined while the bus is away. */
  hearingSinceMs: number | undefined;
  /** Since when the witness's own writes to Postgres have all succeeded; undefined while they do not. */
  writingSinceMs: number | undefined;
  leader: { nodeId: string; incarnation: number; sinceMs: number } | undefined;
  /** How much later than usual others may be, since this witness is delayed itself; see OwnDelay. */
  allowanceMs: number;
}

export interface DetectorTimings {
  heartbeatTimeoutMs: number;
  pingMisses: number;
  pingTimeoutMs: number;
  /** Answers in a row that show a process at work: the first after a stall come before its next heartbeat. */
  steadyPings: number;
  /** Two refusals at least this far apart: one can be the backlog of a busy process. */
  refusalsApartMs: number;
  cannotLeadAfterMs: number;
}

export interface Assessment {
  reason: Exclude<VerdictReason, 'handover'>;
  /** When it began, by the evidence. */
  sinceMs: number;
  evidence: Record<string, unknown>;
}

export type Hearing = 'heard' | 'silent' | 'cannot-tell';

export function hearing(node: NodeEvidence, around: Surroundings, timings: DetectorTimings): Hearing {
  const { nowMs, hearingSinceMs } = around;
  const timeoutMs = timings.heartbeatTimeoutMs + around.allowanceMs;
  if (nowMs - node.heardAtMs <= timeoutMs) return 'heard';
  const couldHear = hearingSinceMs !== undefined && nowMs - hearingSinceMs > timeoutMs;
  return couldHear ? 'silent' : 'cannot-tell';
}

/** What is wrong with the node, the gravest first; undefined = nothing that we know of. */
export function assess(
  node: NodeEvidence,
  around: Surroundings,
  timings: DetectorTimings,
): Assessment | undefined {
  return assessCrash(node, around, timings) ?? assessSilence(node, around, timings);
}

/** By its connections: it is seen within milliseconds, and counts only if somebody else saw it too. */
function assessCrash(
  node: NodeEvidence,
  around: Surroundings,
  timings: DetectorTimings,
): Assessment | undefined {
  if (node.tether !== 'closed' || !refusedTwice(node, timings)) return undefined;
  return {
    reason: 'process-down',
    sinceMs: node.tetherClosedAtMs ?? around.nowMs,
    evidence: {
      hearing: hearing(node, around, timings),
      pingMisses: node.pingMisses,
      tether: 'closed',
      refused: node.refusedAtMs.length,
    },
  };
}

/** By what it says and answers, whatever its connections do. */
export function assessSilence(
  node: NodeEvidence,
  around: Surroundings,
  timings: DetectorTimings,
): Assessment | undefined {
  const heard = hearing(node, around, timings);
  const silentForMs = around.nowMs - node.heardAtMs;
  const pingsFail = node.pingMisses >= timings.pingMisses;
  const seen = { hearing: heard, pingMisses: node.pingMisses };

  if (pingsFail && heard !== 'heard') {
    const sinceMs = node.missingSinceMs ?? around.nowMs;
    return { reason: 'unresponsive', sinceMs, evidence: { ...seen, silentForMs } };
  }
  // Heartbeats that kept coming well after the misses began show that the node lives on: else it may have just frozen,
  // or thawed.
  const bothSinceMs = Math.max(node.missingSinceMs ?? around.nowMs, node.steadySinceMs);
  const livesUnreachable = pingsFail && node.heardAtMs - bothSinceMs > timings.pingTimeoutMs;
  const leading = assessLeader(node, around, timings, livesUnreachable);
  if (leading) return leading;
  if (livesUnreachable) {
    return { reason: 'unreachable', sinceMs: node.missingSinceMs ?? around.nowMs, evidence: seen };
  }
  if (heard === 'silent' && node.pingOks >= timings.steadyPings) {
    return { reason: 'bus-partitioned', sinceMs: node.heardAtMs, evidence: { ...seen, silentForMs } };
  }
  return undefined;
}

/**
 * A leader that nobody can reach or that cannot commit is no leader. But a witness that cannot write itself sees only
 * that the database is away, and once it is back everybody gets time to notice.
 */
function assessLeader(
  node: NodeEvidence,
  around: Surroundings,
  timings: DetectorTimings,
  livesUnreachable: boolean,
): Assessment | undefined {
  const { leader, nowMs, writingSinceMs } = around;
  if (leader?.nodeId !== node.nodeId || leader.incarnation !== node.incarnation) return undefined;
  if (writingSinceMs === undefined || nowMs - writingSinceMs < timings.cannotLeadAfterMs) return undefined;
  if (livesUnreachable) {
    const sinceMs = node.missingSinceMs ?? nowMs;
    return { reason: 'cannot-lead', sinceMs, evidence: { pingMisses: node.pingMisses, unreachable: true } };
  }
  // A new leader has twice the time until its first confirmation: it may have to catch up.
  const confirmedAtMs = node.fenceConfirmedAtMs ?? leader.sinceMs + timings.cannotLeadAfterMs;
  const since = Math.max(confirmedAtMs, leader.sinceMs);
  if (nowMs - since <= timings.cannotLeadAfterMs + around.allowanceMs) return undefined;
  return {
    reason: 'cannot-lead',
    sinceMs: since,
    evidence: { fenceConfirmedAgoMs: Math.round(nowMs - since) },
  };
}

function refusedTwice(node: NodeEvidence, timings: DetectorTimings): boolean {
  const first = node.refusedAtMs[0];
  const last = node.refusedAtMs.at(-1);
  return first !== undefined && last !== undefined && last - first >= timings.refusalsApartMs;
}
