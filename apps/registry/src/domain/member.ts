import type { HealthChanged, NodeRole, NodeStatus, StatusReason } from '#libs/contracts';
import type { ReportedCondition, StatusEvidence } from './status.js';

export interface MemberRecord {
  nodeId: string;
  kind: 'config-node' | 'service';
  role: NodeRole;
  address: string | null;
  incarnation: number;
  status: NodeStatus;
  reason: StatusReason | null;
  statusSeq: number;
  version: number;
  term: number;
  /** RFC 3339. */
  lastHeartbeatAt: string | null;
  registeredAt: string;
  metadata: Record<string, string>;
  /** It left for good; kept so that its numbers are never given out again. */
  left: boolean;
}

export interface Member {
  record: MemberRecord;
  /** Registered by a request, not merely heard of. */
  explicit: boolean;
  /** Known from a cache or another instance's word alone: shown, never judged and never written. */
  introduced: boolean;
  /** It has spoken with the MAC of the cluster: nobody without it speaks for it. */
  byCluster: boolean;
  seq: number;
  heardAtMs: number;
  steadySinceMs: number | undefined;
  condition: ReportedCondition | undefined;
  verdict: StatusEvidence['verdict'];
  /** Of the newest verdict heard. */
  verdictSeq: number;
  /** The verdict was only inferred from a status that is known without its evidence: nobody may withdraw it. */
  guessed: boolean;
  silent: boolean;
  recovering: boolean;
}

/** The evidence that stood when a status was given, kept beside it: another process goes on from there. */
export interface StoredEvidence {
  verdict: StatusEvidence['verdict'] | null;
  verdictSeq: number;
  health: HealthChanged | null;
}

export interface Transition {
  nodeId: string;
  incarnation: number;
  statusSeq: number;
  from: NodeStatus | null;
  to: NodeStatus;
  reason: StatusReason | null;
}

export interface MembershipSettings {
  heartbeatTimeoutMs: number;
  /** Heartbeats that came without a pause for this long end a `failed` that nobody withdraws. */
  steadyMs: number;
  maxMembers: number;
  /** Health evidence that is not renewed counts for this long. */
  evidenceLifeMs: number;
}

export interface Registration {
  nodeId: string;
  incarnation: number;
  kind: 'config-node' | 'service';
  role: 'follower' | 'observer';
  address: string | null;
  metadata: Record<string, string>;
}

export type RegisterOutcome =
  | { outcome: 'registered'; record: MemberRecord; transition: Transition }
  | { outcome: 'not-newer'; exceed: number }
  | { outcome: 'full' };

export type HeartbeatOutcome =
  | { outcome: 'applied'; transition: Transition | undefined }
  /** It told enough of itself to be taken in without a registration. */
  | { outcome: 'adopted'; transition: Transition }
  | { outcome: 'stale' | 'unknown' | 'full' };

export function transitionOf(record: MemberRecord, from: NodeStatus | null): Transition {
  const { nodeId, incarnation, statusSeq, status: to, reason } = record;
  return { nodeId, incarnation, statusSeq, from, to, reason };
}

/** A new incarnation, of which nothing is known yet. */
export function newMember(
  request: Registration,
  before: Member | undefined,
  at: string,
  nowMs: number,
): Member {
  const returning = before && !before.record.left ? before.record : undefined;
  return {
    record: {
      ...request,
      status: 'degraded',
      reason: 'syncing',
      statusSeq: before?.record.statusSeq ?? 0,
      version: 0,
      term: returning?.term ?? 0,
      lastHeartbeatAt: null,
      registeredAt: returning?.registeredAt ?? at,
      left: false,
    },
    explicit: false,
    introduced: false,
    byCluster: before?.byCluster ?? false,
    seq: -1,
    heardAtMs: nowMs,
    steadySinceMs: undefined,
    condition: undefined,
    verdict: undefined,
    verdictSeq: 0,
    guessed: false,
    silent: false,
    recovering: false,
  };
}

/** One that another process knew: with the evidence it had, or else with what its status stands for. */
export function memberBehind(
  record: MemberRecord,
  standing: StoredEvidence | null | undefined,
  nowMs: number,
): Member {
  return {
    record,
    explicit: true,
    introduced: false,
    byCluster: false,
    seq: -1,
    heardAtMs: nowMs,
    steadySinceMs: undefined,
    condition: conditionBehind(record),
    verdict: standing ? (standing.verdict ?? undefined) : verdictBehind(record),
    verdictSeq: standing?.verdictSeq ?? 0,
    guessed: !standing,
    silent: false,
    recovering: record.status === 'failed' || record.reason === 'recovering',
  };
}

/** One that a cache names and nobody else: it stands as one that has just come, whatever the cache says of it. */
export function introducedMember(record: MemberRecord, nowMs: number): Member {
  const role = record.role === 'observer' ? 'observer' : 'follower';
  const shown: MemberRecord = { ...record, role, status: 'degraded', reason: 'syncing', version: 0, term: 0 };
  return { ...memberBehind(shown, undefined, nowMs), introduced: true };
}

/** The evidence that a stored status stands for, until there is newer evidence. */
function verdictBehind(record: MemberRecord): StatusEvidence['verdict'] {
  const { status, reason } = record;
  // Holds are kept by themselves.
  if (reason === 'quarantined') return undefined;
  if (status === 'failed') {
    return { verdict: 'failed', reason: reason === 'process-down' ? 'process-down' : 'unresponsive' };
  }
  if (reason === 'unreachable' || reason === 'cannot-lead') return { verdict: 'degraded', reason };
  return undefined;
}

function conditionBehind(record: MemberRecord): ReportedCondition | undefined {
  switch (record.reason) {
    case null:
      return 'ok';
    case 'stale':
    case 'overloaded':
    case 'wrong-database':
    case 'stopping':
    case 'syncing':
      return record.reason;
    default:
      return 'ok';
  }
}
