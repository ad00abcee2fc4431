import { rendezvousOwner } from '#libs/kernel';

export interface Share {
  /** This instance's to judge. */
  own: string[];
  /** Asked as well, so that there is somebody to compare with. */
  asked: string[];
}

/**
 * Instances split the nodes by rendezvous. Whoever has any asks the leader too, or else the first of the others, so that
 * there is somebody to compare with; of that one it judges nothing.
 */
export function shareOf(
  self: string,
  nodeIds: readonly string[],
  instances: readonly string[],
  leaderId: string | null,
): Share {
  const all = [...nodeIds].sort();
  const own = all.filter((nodeId) => rendezvousOwner(nodeId, instances) === self);
  const others = all.filter((nodeId) => !own.includes(nodeId));
  const leader = others.find((nodeId) => nodeId === leaderId);
  const other = leader ?? (own.length === 1 ? others[0] : undefined);
  return { own, asked: other === undefined || own.length === 0 ? own : [...own, other] };
}
