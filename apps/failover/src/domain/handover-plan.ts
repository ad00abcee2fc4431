import type { ErrorCode, Head, PollReply } from '#libs/contracts';

/**
 * A planned change of leader, so that no write fails: everything that can be found wanting is found before the leader
 * pauses; while it pauses, only the claim stands between the old leader and the new one. The pause ends by itself.
 */
export interface Preparation {
  leaderId: string;
  /** Where the leader stood when it was asked, before the others were. */
  leaderVersion: number;
  /** The node asked for; undefined = whoever fits best. */
  wanted: string | undefined;
  replies: readonly PollReply[];
  elapsedMs: number;
  patienceMs: number;
}

export type PreparationStep =
  | { step: 'already-leads' }
  | { step: 'refuse'; code: ErrorCode; detail: string }
  /** The target is behind, or has not answered: ask again. */
  | { step: 'ask-again' }
  | { step: 'pause'; target: PollReply };

export function prepare(input: Preparation): PreparationStep {
  const { leaderId, wanted, replies, elapsedMs, patienceMs } = input;
  if (wanted === leaderId) return { step: 'already-leads' };
  const others = replies.filter((reply) => reply.nodeId !== leaderId);
  const asked = wanted === undefined ? others : others.filter((reply) => reply.nodeId === wanted);
  const target = asked.filter((reply) => isReady(reply, input)).toSorted(better)[0];
  if (target) return { step: 'pause', target };
  const observer = asked.find((reply) => reply.nodeId === wanted && reply.reason === 'observer');
  if (observer) return refuse('precondition-failed', `${observer.nodeId} is an observer and never leads`);
  if (elapsedMs < patienceMs) return { step: 'ask-again' };
  return refuse('no-available-node', whyNone(asked, input));
}

/** While the leader pauses: the target must have what the leader finished before it stopped. */
export function mayClaim(paused: Head, target: PollReply): boolean {
  return target.eligible && target.version === paused.version && target.chain === paused.chain;
}

function isReady(reply: PollReply, { leaderVersion }: Preparation): boolean {
  return reply.eligible && reply.version >= leaderVersion;
}

function better(a: PollReply, b: PollReply): number {
  return (
    Number(b.healthy) - Number(a.healthy) ||
    b.version - a.version ||
    b.priority - a.priority ||
    (a.nodeId < b.nodeId ? -1 : 1)
  );
}

function whyNone(asked: readonly PollReply[], { wanted, leaderVersion }: Preparation): string {
  const reply = asked[0];
  if (wanted === undefined) return 'no other voter is level with the leader and able to write';
  if (!reply) return `${wanted} does not answer`;
  if (!reply.eligible) return `${wanted} cannot lead: ${reply.reason ?? 'it gives no reason'}`;
  return `${wanted} is ${leaderVersion - reply.version} versions behind`;
}

function refuse(code: ErrorCode, detail: string): PreparationStep {
  return { step: 'refuse', code, detail };
}
