import type { HealthChanged } from '#libs/contracts';

interface ReceivedEvidence {
  change: HealthChanged;
  heardAtMs: number;
}

const MAX_NODES = 1_000;

/**
 * The latest change of each node that was told or heard: of one node the greatest (incarnation, seq) counts. Evidence
 * against a node that its sender no longer renews is told to nobody: it would live on by being told.
 */
export class PeerEvidence {
  private readonly latest = new Map<string, ReceivedEvidence>();

  constructor(private readonly lifeMs: number) {}

  /** Also the same change again: that renews it. */
  apply(change: HealthChanged, nowMs: number): 'newer' | 'renewed' | 'old' {
    const known = this.latest.get(change.nodeId);
    if (!known && this.latest.size >= MAX_NODES) return 'old';
    const order = known ? compare(change, known.change) : 1;
    if (order < 0) return 'old';
    this.latest.set(change.nodeId, { change, heardAtMs: nowMs });
    return order === 0 ? 'renewed' : 'newer';
  }

  forget(nodeId: string): void {
    this.latest.delete(nodeId);
  }

  standing(nowMs: number): HealthChanged[] {
    return [...this.latest.values()]
      .filter(({ change, heardAtMs }) => change.health === 'up' || nowMs - heardAtMs <= this.lifeMs)
      .map(({ change }) => change);
  }
}

function compare(a: HealthChanged, b: HealthChanged): number {
  return a.incarnation - b.incarnation || a.seq - b.seq;
}
