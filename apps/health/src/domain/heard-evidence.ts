import type { HealthChanged } from '#libs/contracts';

const MAX_NODES = 1_000;

/** The latest change of each node that was told or heard: of one node the greatest (incarnation, seq) counts. */
export class HeardEvidence {
  private readonly latest = new Map<string, HealthChanged>();

  take(change: HealthChanged): 'newer' | 'old' {
    const known = this.latest.get(change.nodeId);
    if (!known && this.latest.size >= MAX_NODES) return 'old';
    if (known && !isNewer(change, known)) return 'old';
    this.latest.set(change.nodeId, change);
    return 'newer';
  }

  get(nodeId: string): HealthChanged | undefined {
    return this.latest.get(nodeId);
  }

  forget(nodeId: string): void {
    this.latest.delete(nodeId);
  }

  all(): HealthChanged[] {
    return [...this.latest.values()];
  }
}

function isNewer(a: HealthChanged, b: HealthChanged): boolean {
  return a.incarnation > b.incarnation || (a.incarnation === b.incarnation && a.seq > b.seq);
}
