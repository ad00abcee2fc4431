import { isFarAhead, type NodeHold } from '#libs/contracts';
import type { Clock } from '#libs/kernel';

const MAX_NODES = 1_000;

/** Which nodes are kept out of rotation and elections, as last read or heard: the greatest seq of a node counts. */
export class RestrictionsView {
  private readonly holds = new Map<string, NodeHold>();

  constructor(private readonly clock: Clock) {}

  apply(hold: NodeHold): void {
    const known = this.holds.get(hold.nodeId);
    if (isFarAhead(known?.seq ?? 0, hold.seq)) return;
    if (known ? known.seq >= hold.seq : this.holds.size >= MAX_NODES) return;
    this.holds.set(hold.nodeId, hold);
  }

  /** Why a node may not lead; undefined = nothing keeps it out. */
  reason(nodeId: string): 'drained' | 'quarantined' | undefined {
    const hold = this.holds.get(nodeId);
    if (hold?.drained) return 'drained';
    // Only the end of a quarantine that nobody has announced yet is told by this clock: seconds do not matter there.
    const until = hold?.quarantinedUntil;
    return until && Date.parse(until) > this.clock.wallMs() ? 'quarantined' : undefined;
  }

  isHeld(nodeId: string): boolean {
    return this.reason(nodeId) !== undefined;
  }
}
