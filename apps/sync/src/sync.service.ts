import { type NodeHeartbeat, Problem, type SyncReport } from '#libs/contracts';
import { type Clock, FailureLog, type Repeating } from '#libs/kernel';
import { Bus, type BusLogger } from '#libs/messaging';
import { StorageUnavailable } from '#libs/postgres';
import type { ReportedPosition } from './domain/history-check.js';
import { shareOf } from './domain/share.js';
import type { SyncAction } from './domain/sync-action.js';
import { SyncPlanner, type SyncState } from './domain/sync-planner.js';
import { Pusher } from './pusher.js';
import type { SyncSettings } from './sync.config.js';
import { SyncMetrics } from './sync.metrics.js';
import { SyncStore } from './sync.store.js';
import { SyncNodeClient } from './sync-node-client.js';

export interface SyncServiceParts {
  bus: Bus;
  store: SyncStore;
  calls: SyncNodeClient;
  metrics: SyncMetrics;
  settings: SyncSettings;
  clock: Clock;
  logger: BusLogger;
}

/** The shell: learns where the head and the nodes stand, and has those that stay behind brought up to date. */

export class SyncService {
  private readonly planner: SyncPlanner;
  private readonly pusher: Pusher;
  private readonly addresses = new Map<string, string>();
  private readonly failures: FailureLog;
  private readonly loops: Repeating[] = [];
  private migrated = false;
  private headReadAtMs = Number.NEGATIVE_INFINITY;
  private recorded = '';

  constructor(private readonly parts: SyncServiceParts) {
    const { store, calls, metrics, settings, clock, logger } = parts;
    this.failures = new FailureLog(logger, clock);
    this.planner = new SyncPlanner(settings.planner);
    const members = {
      addressOf: (nodeId: string) => this.addresses.get(nodeId),
      sources: (besides: string) => this.sources(besides),
    };
    const diverged = (nodeId: string, position: ReportedPosition) => this.diverged(nodeId, position);
    this.pusher = new Pusher({
      planner: this.planner,
      members,
      store,
      calls,
      metrics,
      settings,
      clock,
      logger,
      diverged,
    });
    metrics.watch(() => this.standings());
  }

  start(seeds: readonly { id: string; address: string }[]): void {
    for (const { id, address } of seeds) this.addresses.set(id, address);
    const every = (what: string, everyMs: number, task: () => Promise<void> | void) =>
      this.loops.push(this.failures.repeat(what, task, { everyMs }));
    const { stepEveryMs, pingEveryMs, registryEveryMs, recordEveryMs, renewEveryMs, sizesEveryMs } =
      this.parts.settings;
    every('reading the head', stepEveryMs, () => this.readHead());
    every('a step', stepEveryMs, () => this.step());
    every('asking nodes', pingEveryMs, () => this.askNodes());
    every('reading members from the registry', registryEveryMs, () => this.askRegistry());
    every('sharing the nodes', renewEveryMs, () => this.renew());
    every('how large the state is', sizesEveryMs, () => this.readSizes());
    every('recording positions', recordEveryMs, () => this.record());
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
    await this.parts.calls.close();
    await this.pusher.stop();
    const leave = (error: unknown) => this.failures.failed('taking leave', error);
    await this.parts.store.instances.resign(this.parts.settings.instanceId).catch(leave);
  }

  get head(): number {
    return this.planner.headVersion;
  }

  heartbeat(beat: NodeHeartbeat): void {
    const { nodeId, incarnation, kind, address, version, chain, condition } = beat;
    if (kind !== 'config-node') return;
    if (address !== undefined) this.addresses.set(nodeId, address);
    // A node on a wrong database waits for an operator; nothing is to be put into it.
    if (condition === 'wrong-database') this.planner.forget(nodeId);
    else if (version !== undefined)
      this.planner.nodeAt(nodeId, incarnation, { version, chain }, this.parts.clock.monotonicMs());
  }

  async deregistered(nodeId: string): Promise<void> {
    this.addresses.delete(nodeId);
    this.planner.forget(nodeId);
    if (this.migrated) await this.parts.store.forget(nodeId);
  }

  async report(): Promise<SyncReport> {
    try {
      return await this.parts.store.report(this.parts.settings.instanceLifeMs);
    } catch (cause) {
      if (!(cause instanceof StorageUnavailable)) throw cause;
      throw new Problem('storage-unavailable', 'where nodes stand is in the database', {}, { cause });
    }
  }

  private standings(): SyncState[] {
    return this.planner.standings(this.parts.clock.monotonicMs()).filter(({ isOwn }) => isOwn);
  }

  private sources(besides: string): string[] {
    return this.planner
      .standings(this.parts.clock.monotonicMs())
      .filter(({ nodeId, state }) => nodeId !== besides && state === 'level')
      .map(({ nodeId }) => nodeId);
  }

  private async readHead(): Promise<void> {
    const nowMs = this.parts.clock.monotonicMs();
    const everyMs = this.parts.bus.connected
      ? this.parts.settings.headEveryMs
      : this.parts.settings.headWithoutBusMs;
    if (nowMs - this.headReadAtMs < everyMs) return;
    this.headReadAtMs = nowMs;
    await this.prepare();
    this.planner.headAt(await this.parts.store.head(), this.parts.clock.monotonicMs());
  }

  private async prepare(): Promise<void> {
    if (this.migrated) return;
    await this.parts.store.migrate();
    this.migrated = true;
  }

  private step(): void {
    for (const action of this.planner.plan(this.parts.clock.monotonicMs())) this.carryOut(action);
  }

  private carryOut(action: SyncAction): void {
    const at = new Date(this.parts.clock.wallMs()).toISOString();
    const { head } = this;
    if (action.type === 'lagging') {
      const { nodeId, version, behindMs } = action;
      this.parts.logger.warn({ nodeId, version, head, behindMs: Math.round(behindMs) }, 'a node lags behind');
      this.parts.bus.publish('sync.lagging', { nodeId, version, head, behindMs, at });
    } else if (action.type === 'level') {
      const { nodeId, version, laggedMs } = action;
      this.parts.logger.info(
        { nodeId, version, head, laggedMs: Math.round(laggedMs) },
        'a node has caught up',
      );
      this.parts.bus.publish('sync.level', { nodeId, version, head, laggedMs, at });
    } else {
      this.pusher.begin(action);
    }
  }

  private diverged(nodeId: string, { version, chain }: ReportedPosition): void {
    this.parts.metrics.divergences.inc();
    this.parts.logger.error({ nodeId, version, chain }, 'a node diverged: the log does not have its history');
    const at = new Date(this.parts.clock.wallMs()).toISOString();
    if (chain !== undefined) this.parts.bus.publish('sync.diverged', { nodeId, version, chain, at });
  }

  /** When heartbeats cannot be heard, nodes are asked one by one. */
  private async askNodes(): Promise<void> {
    if (this.parts.bus.responsive) return;
    const asked = [...this.addresses].map(async ([nodeId, address]) => {
      const ping = await this.parts.calls.ping(address, this.parts.settings.pingTimeoutMs);
      if (ping.nodeId !== nodeId) return;
      const position = { version: ping.version, chain: undefined };
      this.planner.nodeAt(nodeId, ping.incarnation, position, this.parts.clock.monotonicMs());
    });
    for (const answer of await Promise.allSettled(asked)) {
      if (answer.status === 'rejected') this.failures.failed('asking a node', answer.reason);
    }
  }

  private async askRegistry(): Promise<void> {
    if (!this.parts.bus.connected) return;
    const { nodes } = await this.parts.bus.request(
      'registry.list',
      { kind: 'config-node' },
      { timeoutMs: 1_000 },
    );
    for (const { id, address } of nodes) if (address !== null) this.addresses.set(id, address);
  }

  /** Without the database nobody can push anything, whoever's the nodes are. */
  private async renew(): Promise<void> {
    if (!this.migrated) return;
    const { instanceId, instanceLifeMs } = this.parts.settings;
    const others = await this.parts.store.instances.renew(instanceId, instanceLifeMs);
    this.planner.shareIs(shareOf(instanceId, this.planner.nodeIds(), [instanceId, ...others]));
  }

  private async readSizes(): Promise<void> {
    const sizes = await this.parts.store.sizes();
    if (sizes !== undefined) this.planner.sizesAre(sizes);
  }

  /** Only what changed since the last time. */
  private async record(): Promise<void> {
    const own = this.standings();
    const nodes = own.map(({ isOwn: _own, lagVersions: _versions, lagMs, way: by, ...standing }) => {
      return { ...standing, lagMs: Math.round(lagMs), by };
    });
    const state = JSON.stringify([this.head, nodes]);
    if (!this.migrated || nodes.length === 0 || state === this.recorded) return;
    await this.parts.store.saveNodes(nodes, this.head, this.parts.settings.instanceId);
    this.recorded = state;
  }
}
