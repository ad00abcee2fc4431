import type { ReplyPayload, VerdictReason } from '#libs/contracts';

/**
 * When the evidence of one witness becomes a verdict.
 *
 * A crash is proved by one confirmation, and refuted by one witness that still holds its connection: whoever answers
 * somebody is not gone. What rests on time-outs needs a majority of the witnesses that live: those that renewed their
 * row lately by Postgres' clock and answer us. Without Postgres no majority is needed, since no claim is possible.
 */
export interface QuorumQuestion {
  reason: Exclude<VerdictReason, 'handover'>;
  /** Other instances whose row is fresh; undefined = Postgres cannot be asked. */
  live: readonly string[] | undefined;
  replies: readonly WitnessVote[];
  /** Whether this lone witness may still give a verdict of a crash (see LoneWitness). */
  mayJudgeAlone: boolean;
}

export type WitnessVote = Pick<ReplyPayload<'failover.witness'>, 'instanceId' | 'view'> & {
  /** Its own evidence says the same. */
  agrees: boolean;
};

export type Quorum =
  | { outcome: 'confirmed'; by: string[] }
  /** Nobody else was there to be asked. */
  | { outcome: 'alone'; by: [] }
  | { outcome: 'refuted'; by: string[] }
  | { outcome: 'outvoted' | 'alone-too-often'; by: [] };

export function decideQuorum(question: QuorumQuestion): Quorum {
  return question.reason === 'process-down' ? crash(question) : majority(question);
}

/** Nothing that the missing replies could say would change the outcome. */
export function isSettled(question: QuorumQuestion): boolean {
  const { outcome } = decideQuorum(question);
  if (outcome === 'refuted') return true;
  const answered = new Set(question.replies.map((reply) => reply.instanceId));
  return question.live?.every((instanceId) => answered.has(instanceId)) ?? false;
}

function crash({ replies, mayJudgeAlone }: QuorumQuestion): Quorum {
  const connected = names(replies, (reply) => reply.view === 'connected');
  if (connected.length > 0) return { outcome: 'refuted', by: connected };
  const lost = names(replies, (reply) => reply.view === 'lost' || reply.agrees);
  if (lost.length > 0) return { outcome: 'confirmed', by: lost };
  return mayJudgeAlone ? { outcome: 'alone', by: [] } : { outcome: 'alone-too-often', by: [] };
}

function majority({ live, replies }: QuorumQuestion): Quorum {
  if (live === undefined) return { outcome: 'alone', by: [] };
  // One that was stalled itself has no opinion yet; one that does not answer is not alive to us.
  const voters = replies.filter((reply) => live.includes(reply.instanceId) && reply.view !== 'paused');
  const agreeing = names(voters, (reply) => reply.agrees);
  if ((agreeing.length + 1) * 2 <= voters.length + 1) return { outcome: 'outvoted', by: [] };
  return agreeing.length === 0 ? { outcome: 'alone', by: [] } : { outcome: 'confirmed', by: agreeing };
}

function names(replies: readonly WitnessVote[], which: (reply: WitnessVote) => boolean): string[] {
  return replies.filter(which).map((reply) => reply.instanceId);
}

/** A lone witness may find one crash per interval: it may itself be what is cut off. */
export class LoneWitness {
  private lastMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly intervalMs: number) {}

  mayJudge(nowMs: number): boolean {
    return nowMs - this.lastMs >= this.intervalMs;
  }

  judged(nowMs: number): void {
    this.lastMs = nowMs;
  }
}
