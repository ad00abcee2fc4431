import { Injectable } from '@nestjs/common';
import { type Clock, FailureLog, type Repeating } from '#libs/kernel';
import { Bus, type BusLogger } from '#libs/messaging';
import { DetectorService } from './detection/detector.service.js';
import { WitnessService } from './detection/witness.service.js';
import { ElectionService } from './election/election.service.js';
import type { FailoverSettings } from './failover.config.js';
import { FailoverStore } from './failover.store.js';
import { LeaderHeadMonitor } from './head/leader-head-monitor.js';
import { NodeWatch } from './nodes/node-watch.js';
import { RecoveryService } from './recovery/recovery.service.js';
import { RecoveryStore } from './recovery/recovery.store.js';

const PRUNE_EVERY_MS = 600_000;
const MIGRATE_EVERY_MS = 500;

/** Life of one failover process: brings its parts up in order, keeps them told of each other, and ends them. */
@Injectable()
export class FailoverService {
  private readonly failures: FailureLog;
  private readonly loops: Repeating[] = [];
  private migrated = false;

  constructor(
    private readonly bus: Bus,
    private readonly store: FailoverStore,
    private readonly nodes: NodeWatch,
    private readonly detector: DetectorService,
    private readonly witnesses: WitnessService,
    private readonly elections: ElectionService,
    private readonly head: LeaderHeadMonitor,
    private readonly recovery: RecoveryService,
    private readonly recoveryStore: RecoveryStore,
    private readonly settings: FailoverSettings,
    private readonly clock: Clock,
    private readonly logger: BusLogger,
  ) {
    this.failures = new FailureLog(logger, clock);
  }

  start(seeds: readonly { id: string; address: string }[]): void {
    this.head.onChange((head) => this.headChanged(head));
    this.head.start();
    this.detector.start();
    this.nodes.begin((input) => this.detector.submit(input), seeds);
    this.every('setting up its tables', MIGRATE_EVERY_MS, () => this.migrate());
    this.every('reading members from the registry', this.settings.registryEveryMs, () => this.askRegistry());
    this.every('reading verdicts', this.settings.timings.headPollWithoutBusMs, () => this.readVerdicts());
    this.every('a first election', this.settings.timings.headPollWithoutBusMs, () => this.electFirst());
    this.every('pruning', PRUNE_EVERY_MS, () => this.prune());
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
    await this.recovery.stop();
    await Promise.all([this.head.stop(), this.nodes.stop()]);
    await Promise.all([this.elections.stop(), this.witnesses.stop()]);
    await this.detector.stop();
  }

  get ready(): boolean {
    return this.migrated;
  }

  private headChanged(head: { leaderId: string | null; incarnation: number }): void {
    const { leaderId, incarnation } = head;
    const leader = leaderId === null ? undefined : { nodeId: leaderId, incarnation };
    if (leader) this.nodes.named(leader.nodeId, leader.incarnation);
    this.detector.submit({ type: 'leader', leader, nowMs: this.clock.monotonicMs() });
  }

  private async migrate(): Promise<void> {
    if (this.migrated) return;
    await this.store.migrate();
    for (const verdict of await this.store.verdicts()) this.detector.heard(verdict);
    await this.recovery.begin();
    this.migrated = true;
    this.witnesses.begin();
    this.logger.info('migrated the tables of the service');
  }

  private async prune(): Promise<void> {
    if (!this.migrated) return;
    await this.store.prune();
    await this.recoveryStore.prune();
  }

  private async askRegistry(): Promise<void> {
    if (!this.bus.connected) return;
    const { nodes } = await this.bus.request('registry.list', { kind: 'config-node' }, { timeoutMs: 1_000 });
    for (const node of nodes) this.nodes.registered(node);
  }

  /** What other witnesses judged, when the bus cannot tell it. */
  private async readVerdicts(): Promise<void> {
    if (this.bus.connected || !this.migrated) return;
    for (const verdict of await this.store.verdicts()) this.detector.heard(verdict);
  }

  /** A new cluster has no leader to be judged. */
  private async electFirst(): Promise<void> {
    const { current } = this.head;
    if (!this.migrated || current === undefined || current.leaderId !== null) return;
    const nowMs = this.clock.monotonicMs();
    await this.elections.replace(null, { reason: 'first', evidence: {}, sinceMs: nowMs, judgedMs: nowMs });
  }

  private every(what: string, everyMs: number, task: () => Promise<void> | void): void {
    this.loops.push(this.failures.repeat(what, task, { everyMs }));
  }
}
