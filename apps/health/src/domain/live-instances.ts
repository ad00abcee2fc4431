import { rendezvousOwner } from '#libs/kernel';

const MAX_INSTANCES = 100;

/**
 * Who shares the work. While the bus carries signs of life only those heard on it count: evidence goes by the bus, so
 * one that is cut off from it could tell nobody what it finds. Without the bus the rows in Postgres say who lives, and
 * without either an instance probes everything itself: twice the work harms nobody, and none of it could.
 */
export class LiveInstances {
  private readonly heardAtMs = new Map<string, number>();
  private inRows: readonly string[] = [];

  constructor(
    private readonly self: string,
    private readonly lifeMs: number,
  ) {}

  observe(instanceId: string, nowMs: number): void {
    if (instanceId === this.self) return;
    if (!this.heardAtMs.has(instanceId) && this.heardAtMs.size >= MAX_INSTANCES) return;
    this.heardAtMs.set(instanceId, nowMs);
  }

  left(instanceId: string): void {
    this.heardAtMs.delete(instanceId);
    this.inRows = this.inRows.filter((row) => row !== instanceId);
  }

  /** Those whose row is young by the database's clock; nobody when it cannot be asked. */
  rows(instanceIds: readonly string[]): void {
    this.inRows = instanceIds.slice(0, MAX_INSTANCES);
  }

  /** After a time in which nothing could be heard everybody gets a full life anew. */
  resetDeadlines(nowMs: number): void {
    for (const instanceId of this.heardAtMs.keys()) this.heardAtMs.set(instanceId, nowMs);
  }

  /** In the order of their names, with this one among them. */
  alive(nowMs: number, by: 'bus' | 'rows'): string[] {
    for (const [instanceId, atMs] of this.heardAtMs) {
      if (nowMs - atMs > this.lifeMs) this.heardAtMs.delete(instanceId);
    }
    const others = by === 'bus' ? this.heardAtMs.keys() : this.inRows;
    return [...new Set([this.self, ...others])].sort();
  }
}

/** Which of the nodes are this instance's to probe. */
export function shareOf(self: string, nodeIds: readonly string[], instances: readonly string[]): Set<string> {
  return new Set(nodeIds.filter((nodeId) => rendezvousOwner(nodeId, instances) === self));
}
