import { rendezvousOwner } from '#libs/kernel';

/** Which nodes are this instance's to bring up to date. Two that both believe so do no harm: pushes are idempotent. */
export function shareOf(self: string, nodeIds: Iterable<string>, instances: readonly string[]): Set<string> {
  return new Set([...nodeIds].filter((nodeId) => rendezvousOwner(nodeId, instances) === self));
}
