import { type Cluster, type ClusterView, pause } from '#libs/testing';

export const CONTROL = ['registry', 'health', 'failover-1', 'failover-2', 'sync'];

/** Freezes a process for a time, as a host does that has no core to spare. */
export async function stall(cluster: Cluster, name: string, forMs: number): Promise<void> {
  cluster.freeze(name);
  try {
    await pause(forMs);
  } finally {
    cluster.thaw(name);
  }
}

/** Whatever was called failed while this looked, by node. */
export class FailureWatch {
  readonly seen = new Set<string>();
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(private readonly cluster: Cluster) {}

  start(): this {
    this.running = this.look();
    return this;
  }

  async stop(): Promise<string[]> {
    this.stopped = true;
    await this.running;
    return [...this.seen];
  }

  private async look(): Promise<void> {
    while (!this.stopped) {
      const { nodes }: ClusterView = await this.cluster.view();
      for (const { id, status, reason } of nodes) if (status === 'failed') this.seen.add(`${id} ${reason}`);
      await pause(50);
    }
  }
}
