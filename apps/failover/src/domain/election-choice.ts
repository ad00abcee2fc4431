import type { PollReply } from '#libs/contracts';

/** Who should lead: pure, so that every instance chooses alike from the same answers. */
export interface ChoiceInput {
  head: { version: number; chain: string };
  replies: readonly PollReply[];
  /** Nodes that are not to be chosen: the suspect's dead incarnation, those judged failed or unable to lead. */
  excluded: (reply: PollReply) => boolean;
}

/**
 * A history on the head's chain first, then healthy before degraded, highest version, the one that remembers most of what
 * the database lost, priority, lowest id.
 * A node that is not level with the head catches up before it writes, so a lower version costs time, never data; one
 * that is level but on another chain would have to discard its history first.
 */
export function chooseLeader({ head, replies, excluded }: ChoiceInput): PollReply | undefined {
  return replies
    .filter((reply) => reply.eligible && !excluded(reply))
    .toSorted((a, b) => compare(a, b, head))[0];
}

/** A candidate better than this one cannot come, only its equal: no need to wait long for the others. */
export function isBestPossible(reply: PollReply, head: ChoiceInput['head']): boolean {
  return reply.healthy && onHeadsChain(reply, head) && reply.version === head.version;
}

export function onHeadsChain(reply: PollReply, head: ChoiceInput['head']): boolean {
  if (reply.version > head.version) return false;
  // Behind the head the chains cannot be compared here; the node itself checks each link as it catches up.
  return reply.version < head.version || reply.chain === head.chain;
}

function compare(a: PollReply, b: PollReply, head: ChoiceInput['head']): number {
  return (
    Number(onHeadsChain(b, head)) - Number(onHeadsChain(a, head)) ||
    Number(b.healthy) - Number(a.healthy) ||
    b.version - a.version ||
    (b.highestVersion ?? b.version) - (a.highestVersion ?? a.version) ||
    b.priority - a.priority ||
    (a.nodeId < b.nodeId ? -1 : 1)
  );
}
