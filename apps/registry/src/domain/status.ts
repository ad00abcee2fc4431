import type { NodeHeartbeat, NodeStatus, NodeVerdict, StatusReason } from '#libs/contracts';
import { unreachable } from '#libs/kernel';

/**
 * The status of a member, decided from all evidence that stands at the moment. There is no table of moves from status
 * to status: whatever the order in which evidence came, the same evidence gives the same status. Sources that
 * contradict each other (failover's witnesses, health checks, the bus, the member itself, an operator) are ranked, and
 * the first rule that applies decides: so two of them that disagree give one status, not two in turn.
 */
export type ReportedCondition = NonNullable<NodeHeartbeat['condition']>;

export interface StatusEvidence {
  kind: 'config-node' | 'service';
  /** What the member last said of itself in this incarnation; undefined = no heartbeat yet. */
  condition: ReportedCondition | undefined;
  /** The last verdict on this incarnation that was not withdrawn. */
  verdict: { verdict: 'failed' | 'degraded'; reason: NonNullable<NodeVerdict['reason']> } | undefined;
  /** No heartbeat for the time-out, while this process could have heard one. */
  silent: boolean;
  /** It was failed in this incarnation, and has not said since that it is well. */
  recovering: boolean;
  /** What health checks hold against this incarnation: nobody answers, or it answers that it is not ready. */
  checks: 'unanswered' | 'not-ready' | undefined;
  /** Kept out by an operator, or because it failed again and again. */
  drained: boolean;
  quarantined: boolean;
}

export interface StatusJudgement {
  status: NodeStatus;
  reason: StatusReason | null;
}

interface Rule {
  applies: (evidence: StatusEvidence) => boolean;
  gives: StatusJudgement | ((evidence: StatusEvidence) => StatusJudgement);
}

const failed = (reason: StatusReason): StatusJudgement => ({ status: 'failed', reason });
const degraded = (reason: StatusReason): StatusJudgement => ({ status: 'degraded', reason });
const HEALTHY: StatusJudgement = { status: 'healthy', reason: null };

/** The first rule that applies decides. */
const RULES: readonly Rule[] = [
  // What a member announced itself is its end, not its failure, even when its process is gone a moment later.
  {
    applies: ({ condition }) => condition === 'stopping',
    gives: { status: 'shutting-down', reason: 'stopping' },
  },
  // It may look well again at this moment; that is what it did every time before it failed.
  { applies: ({ quarantined }) => quarantined, gives: failed('quarantined') },
  // Several witnesses agreed, by connections and pings of their own: one prober that was answered does not outweigh it.
  { applies: ({ verdict }) => verdict?.verdict === 'failed', gives: failedBy },
  // Nobody but the bus hears of a mere service.
  { applies: ({ kind, silent }) => kind === 'service' && silent, gives: failed('unresponsive') },
  // Two sources that know nothing of each other miss it: that is enough, also while failover is dead and says nothing.
  { applies: ({ silent, checks }) => silent && checks === 'unanswered', gives: failed('unresponsive') },
  { applies: ({ verdict }) => verdict !== undefined, gives: degradedBy },
  // It lives, by its heartbeats, but whoever would read from it could not.
  { applies: ({ checks }) => checks === 'unanswered', gives: degraded('unreachable') },
  // Why it is not ready it often says itself, and better.
  { applies: (it) => it.checks === 'not-ready' && !explains(it.condition), gives: degraded('not-ready') },
  // Silence on the bus alone never fails a config node: it answers reads over HTTP.
  { applies: ({ silent }) => silent, gives: degraded('bus-partitioned') },
  // An operator's wish stands below every fault, which the operator wants to see, and above all that will pass.
  { applies: ({ drained }) => drained, gives: degraded('draining') },
  { applies: ({ condition }) => condition !== 'ok', gives: ({ condition }) => degraded(reasonOf(condition)) },
  { applies: ({ recovering }) => recovering, gives: degraded('recovering') },
];

export function judge(evidence: StatusEvidence): StatusJudgement {
  const rule = RULES.find(({ applies }) => applies(evidence));
  if (rule === undefined) return HEALTHY;
  return typeof rule.gives === 'function' ? rule.gives(evidence) : rule.gives;
}

function explains(condition: ReportedCondition | undefined): boolean {
  return condition === undefined || condition === 'syncing' || condition === 'wrong-database';
}

function reasonOf(condition: ReportedCondition | undefined): StatusReason {
  return condition === undefined || condition === 'ok' ? 'syncing' : condition;
}

function failedBy({ verdict }: StatusEvidence): StatusJudgement {
  return failed(verdict?.reason === 'process-down' ? 'process-down' : 'unresponsive');
}

function degradedBy({ verdict }: StatusEvidence): StatusJudgement {
  const reason = verdict?.reason ?? 'unreachable';
  switch (reason) {
    case 'bus-partitioned':
    case 'unreachable':
    case 'cannot-lead':
      return degraded(reason);
    case 'process-down':
    case 'unresponsive':
      return degraded('unreachable');
    case 'handover':
      return degraded('draining');
    default:
      return unreachable(reason);
  }
}
