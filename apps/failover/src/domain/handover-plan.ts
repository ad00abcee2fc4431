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
  /** How many voters were asked, the leader left out: all that are not known to be gone. */
  asked: number;
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
  // A whole cluster that stops: whoever waits for one to take over only delays the end.
  const never = asked.length >= input.asked && asked.every(isUnfitForGood);
  if (elapsedMs < patienceMs && !never) return { step: 'ask-again' };
  return refuse('no-available-node', whyNone(asked, input));
}

/**
 * What of the pause is left for the target to become level. The pause began no earlier than it was asked for, and a
 * claim that arrives after its end could cut off writes that the old leader has taken again.
 */
export function levelWithinMs(pause: { askedAgoMs: number; lastsMs: number; claimTakesMs: number }): number {
  return Math.max(0, pause.lastsMs - pause.claimTakesMs - pause.askedAgoMs);
}

/** While the leader pauses: the target must have what the leader finished before it stopped. */
export function mayClaim(paused: Head, target: PollReply): boolean {
  return target.eligible && target.version === paused.version && target.chain === paused.chain;
}

/** Other reasons pass by themselves within moments. */
const UNFIT_FOR_GOOD: readonly (string | null)[] = ['observer', 'draining', 'wrong-database'];

function isUnfitForGood(reply: PollReply): boolean {
  return !reply.eligible && UNFIT_FOR_GOOD.includes(reply.reason);
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
