import type { NodeHeartbeat } from '#libs/contracts';

/** Whose an id is: `cluster`: a config node, or a service that has spoken with the cluster's MAC. */
export type Ownership = 'cluster' | 'member' | 'nobody';

/** Whether somebody without the cluster key may speak for a member of this kind. */
export function memberMayBe(kind: 'config-node' | 'service' | undefined, owner: Ownership): boolean {
  if (owner === 'cluster') return false;
  return kind === 'service' || (kind === undefined && owner === 'member');
}

/** What counts of a heartbeat without the cluster's MAC: that a service is alive, where, and how; undefined = nothing. */
export function memberBeat(beat: NodeHeartbeat, owner: Ownership): NodeHeartbeat | undefined {
  if (!memberMayBe(beat.kind, owner)) return undefined;
  const { nodeId, incarnation, seq, address, condition, metadata } = beat;
  return { nodeId, incarnation, seq, kind: 'service', address, condition, metadata };
}
