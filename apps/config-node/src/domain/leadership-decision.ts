/**
 * What a read of `config.head` means for a node's office.
 *
 * `take`   head names this node, in the highest term there has been: it leads as soon as it is level
 * `keep`   it leads, and goes on
 * `leave`  it leads, and its term is over
 * `none`   somebody else's matter
 *
 * Head may name a node in a term below one that was heard of: a database that lost its latest commits can lose an
 * election among them. Everybody else goes by the higher term and would listen to no leader of a lower one, so nobody
 * leads until the next election, which goes beyond every term that any node has heard of.
 */
export type LeadershipDecision = 'take' | 'keep' | 'leave' | 'none';

export interface LeadershipInput {
  head: { term: number; leaderId: string | null; incarnation: number };
  self: { nodeId: string; incarnation: number; mayLead: boolean };
  /** The term that this node leads; undefined = none. */
  ownTerm: number | undefined;
  /** The highest that this node has heard of. */
  highestTerm: number;
}

export function decideLeadership({ head, self, ownTerm, highestTerm }: LeadershipInput): LeadershipDecision {
  const isOverdue = (term: number) => term < Math.max(head.term, highestTerm);
  if (ownTerm !== undefined) return isOverdue(ownTerm) ? 'leave' : 'keep';
  const isMine = head.leaderId === self.nodeId && head.incarnation === self.incarnation;
  return isMine && self.mayLead && !isOverdue(head.term) ? 'take' : 'none';
}
