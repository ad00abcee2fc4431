import { Injectable } from '@nestjs/common';
import type { NodeHeartbeat } from '#libs/contracts';
import { type Clock, type Repeating, repeat } from '#libs/kernel';
import { Bus, type BusLogger } from '#libs/messaging';
import { type LagAction, LagTracker } from './domain/lag-tracker.js';
import { NodeCalls } from './node-calls.js';
import type { SyncSettings } from './sync.config.js';
import { SyncMetrics } from './sync.metrics.js';
import { SyncStore } from './sync.store.js';

/** The shell: learns where the head and the nodes stand, and pushes to those that stay behind. */
@Injectable()
export class SyncService {
  private readonly tracker: LagTracker;
  private readonly addresses = new Map<string, string>();
  private readonly pushes = new Set<Promise<void>>();
  private readonly loops: Repeating[] = [];
  private migrated = false;
  private stopped = false;
  private headReadAtMs = Number.NEGATIVE_INFINITY;
  private recorded = '';

  constructor(
    private readonly bus: Bus,
    private readonly store: SyncStore,
    private readonly calls: NodeCalls,
    private readonly metrics: SyncMetrics,
    private readonly settings: SyncSettings,
    private readonly clock: Clock,
    private readonly logger: BusLogger,
  ) {
    this.tracker = new LagTracker(settings.lag);
    metrics.watch(() =>
      this.tracker
        .positions()
        .map(({ nodeId, version }) => ({ nodeId, lag: Math.max(0, this.tracker.headVersion - version) })),
    );
  }

  start(seeds: readonly { id: string; address: string }[]): void {
    for (const { id, address } of seeds) this.addresses.set(id, address);
    const every = (what: string, everyMs: number, task: () => Promise<void> | void) =>
      this.loops.push(repeat(task, { everyMs, onError: (error) => this.complain(what, error) }));
    const { stepEveryMs, pingEveryMs, registryEveryMs, recordEveryMs } = this.settings;
    every('reading the head', stepEveryMs, () => this.readHead());
    every('a step', stepEveryMs, () => this.step());
    every('asking nodes', pingEveryMs, () => this.askNodes());
    every('reading members from the registry', registryEveryMs, () => this.askRegistry());
    every('recording positions', recordEveryMs, () => this.record());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.loops.map((loop) => loop.stop()));
    await this.calls.close();
    await Promise.all(this.pushes);
  }

  get head(): number {
    return this.tracker.headVersion;
  }

  heartbeat(beat: NodeHeartbeat): void {
    const { nodeId, incarnation, kind, address, version, condition } = beat;
    if (kind !== 'config-node') return;
    if (address !== undefined) this.addresses.set(nodeId, address);
    // A node on a wrong database waits for an operator; nothing is to be put into it.
    if (condition === 'wrong-database') this.tracker.forget(nodeId);
    else if (version !== undefined)
      this.tracker.nodeAt(nodeId, incarnation, version, this.clock.monotonicMs());
  }

  deregistered(nodeId: string): void {
    this.addresses.delete(nodeId);
    this.tracker.forget(nodeId);
  }

  private async readHead(): Promise<void> {
    const nowMs = this.clock.monotonicMs();
    const everyMs = this.bus.connected ? this.settings.headEveryMs : this.settings.headWithoutBusMs;
    if (nowMs - this.headReadAtMs < everyMs) return;
    this.headReadAtMs = nowMs;
    if (!this.migrated) {
      await this.store.migrate();
      this.migrated = true;
    }
    this.tracker.headAt(await this.store.headVersion(), this.clock.monotonicMs());
  }

  private step(): void {
    for (const action of this.tracker.step(this.clock.monotonicMs())) this.carryOut(action);
  }

  private carryOut(action: LagAction): void {
    if (action.type === 'lagging') {
      const { nodeId, version, behindMs } = action;
      const at = new Date(this.clock.wallMs()).toISOString();
      this.logger.warn(
        { nodeId, version, head: this.head, behindMs: Math.round(behindMs) },
        'a node stays behind',
      );
      this.bus.publish('sync.lagging', { nodeId, version, head: this.head, behindMs, at });
      return;
    }
    const push: Promise<void> = this.push(action.nodeId, action.after).finally(() =>
      this.pushes.delete(push),
    );
    this.pushes.add(push);
  }

  /** Batch after batch until the node is level, or one fails. Never rejects. */
  private async push(nodeId: string, after: number): Promise<void> {
    let from = after;
    try {
      for (let more = true; more && !this.stopped; ) {
        const version = await this.pushBatch(nodeId, from);
        more = this.tracker.pushed(nodeId, version, this.clock.monotonicMs());
        from = version;
      }
      if (this.stopped) this.tracker.failed(nodeId, this.clock.monotonicMs());
    } catch (error) {
      this.metrics.pushes.inc({ outcome: 'failed' });
      this.complain(`pushing to ${nodeId}`, error);
      this.tracker.failed(nodeId, this.clock.monotonicMs());
    }
  }

  private async pushBatch(nodeId: string, after: number): Promise<number> {
    const { batchChanges, batchBytes, pushTimeoutMs } = this.settings;
    const address = this.addresses.get(nodeId);
    if (address === undefined) throw new Error('its address is not known');
    const changes = await this.store.changesAfter(after, batchChanges, batchBytes);
    if (changes[0]?.version !== after + 1)
      throw new Error(`the log does not continue after version ${after}`);
    const { version } = await this.calls.push(address, changes, pushTimeoutMs);
    this.metrics.pushes.inc({ outcome: 'taken' });
    this.metrics.changes.inc(Math.max(0, version - after));
    return version;
  }

  /** When heartbeats cannot be heard, nodes are asked one by one. */
  private async askNodes(): Promise<void> {
    if (this.bus.responsive) return;
    const asked = [...this.addresses].map(async ([nodeId, address]) => {
      const ping = await this.calls.ping(address, this.settings.pingTimeoutMs);
      if (ping.nodeId !== nodeId) return;
      this.tracker.nodeAt(nodeId, ping.incarnation, ping.version, this.clock.monotonicMs());
    });
    for (const answer of await Promise.allSettled(asked)) {
      if (answer.status === 'rejected') this.complain('asking a node', answer.reason);
    }
  }

  private async askRegistry(): Promise<void> {
    if (!this.bus.connected) return;
    const { nodes } = await this.bus.request('registry.list', { kind: 'config-node' }, { timeoutMs: 1_000 });
    for (const { id, address } of nodes) if (address !== null) this.addresses.set(id, address);
  }

  /** Only what changed since the last time. */
  private async record(): Promise<void> {
    const positions = this.tracker.positions();
    const state = JSON.stringify([this.head, positions]);
    if (!this.migrated || positions.length === 0 || state === this.recorded) return;
    await this.store.savePositions(positions, this.head);
    this.recorded = state;
  }

  private complain(what: string, error: unknown): void {
    this.logger.debug(
      { what, reason: error instanceof Error ? error.message : String(error) },
      'goes on without',
    );
  }
}
