import type { NodeHeartbeat, NodeStatus, NodeVerdict, StatusReason } from '#libs/contracts';
import { unreachable } from '#libs/kernel';

/**
 * The status of a member, decided from all evidence that stands at the moment. There is no table of moves from status
 * to status: whatever the order in which evidence came, the same evidence gives the same status.
 */
export type Condition = NonNullable<NodeHeartbeat['condition']>;

export interface Evidence {
  kind: 'config-node' | 'service';
  /** What the member last said of itself in this incarnation; undefined = no heartbeat yet. */
  condition: Condition | undefined;
  /** The last verdict on this incarnation that was not withdrawn. */
  verdict: { verdict: 'failed' | 'degraded'; reason: NonNullable<NodeVerdict['reason']> } | undefined;
  /** No heartbeat for the time-out, while this process could have heard one. */
  silent: boolean;
  /** It was failed in this incarnation, and has not said since that it is well. */
  recovering: boolean;
}

export interface Judgement {
  status: NodeStatus;
  reason: StatusReason | null;
}

export function judge(evidence: Evidence): Judgement {
  const { condition, verdict } = evidence;
  // What a member announced itself is its end, not its failure, even when its process is gone a moment later.
  if (condition === 'stopping') return { status: 'shutting-down', reason: 'stopping' };
  if (verdict?.verdict === 'failed') return { status: 'failed', reason: failedReason(verdict.reason) };
  if (verdict) return { status: 'degraded', reason: degradedReason(verdict.reason) };
  if (evidence.silent) return silence(evidence.kind);
  if (condition === undefined) return { status: 'degraded', reason: 'syncing' };
  if (condition !== 'ok') return { status: 'degraded', reason: condition };
  if (evidence.recovering) return { status: 'degraded', reason: 'recovering' };
  return { status: 'healthy', reason: null };
}

/**
 * Silence on the bus alone never fails a config node: it answers reads over HTTP, and whether it still does is for the
 * witnesses to say. Nobody but the bus hears of a mere service.
 */
function silence(kind: Evidence['kind']): Judgement {
  return kind === 'config-node'
    ? { status: 'degraded', reason: 'bus-partitioned' }
    : { status: 'failed', reason: 'unresponsive' };
}

function failedReason(reason: NonNullable<NodeVerdict['reason']>): StatusReason {
  return reason === 'process-down' ? 'process-down' : 'unresponsive';
}

function degradedReason(reason: NonNullable<NodeVerdict['reason']>): StatusReason {
  switch (reason) {
    case 'bus-partitioned':
    case 'unreachable':
    case 'cannot-lead':
      return reason;
    case 'process-down':
    case 'unresponsive':
      return 'unreachable';
    case 'handover':
      return 'draining';
    default:
      return unreachable(reason);
  }
}
