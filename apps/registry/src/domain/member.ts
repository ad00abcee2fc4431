import type { NodeRole, NodeStatus, StatusReason } from '#libs/contracts';
import type { Condition, Evidence } from './status.js';

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
  seq: number;
  heardAtMs: number;
  steadySinceMs: number | undefined;
  condition: Condition | undefined;
  verdict: Evidence['verdict'];
  /** Of the newest verdict heard. */
  verdictSeq: number;
  silent: boolean;
  recovering: boolean;
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

/** The evidence that a stored status stands for, until there is newer evidence. */
export function verdictBehind(record: MemberRecord): Evidence['verdict'] {
  const { status, reason } = record;
  if (status === 'failed') {
    return { verdict: 'failed', reason: reason === 'process-down' ? 'process-down' : 'unresponsive' };
  }
  if (reason === 'unreachable' || reason === 'cannot-lead') return { verdict: 'degraded', reason };
  return undefined;
}

export function conditionBehind(record: MemberRecord): Condition | undefined {
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
