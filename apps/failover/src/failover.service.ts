import { type Clock, FailureLog, type Repeating } from '#libs/kernel';
import { Bus, type BusLogger } from '#libs/messaging';
import { VerdictService } from './detection/verdict.service.js';
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

export interface FailoverServiceParts {
  bus: Bus;
  store: FailoverStore;
  nodes: NodeWatch;
  detector: VerdictService;
  witnesses: WitnessService;
  elections: ElectionService;
  head: LeaderHeadMonitor;
  recovery: RecoveryService;
  recoveryStore: RecoveryStore;
  settings: FailoverSettings;
  clock: Clock;
  logger: BusLogger;
}

/** Life of one failover process: brings its parts up in order, keeps them told of each other, and ends them. */

export class FailoverService {
  private readonly failures: FailureLog;
  private readonly loops: Repeating[] = [];
  private migrated = false;

  constructor(private readonly parts: FailoverServiceParts) {
    const { clock, logger } = parts;
    this.failures = new FailureLog(logger, clock);
  }

  start(seeds: readonly { id: string; address: string }[]): void {
    this.parts.head.onChange((head) => this.headChanged(head));
    this.parts.head.start();
    this.parts.detector.start();
    this.parts.nodes.begin((input) => this.parts.detector.submit(input), seeds);
    this.every('setting up its tables', MIGRATE_EVERY_MS, () => this.migrate());
    this.every('reading members from the registry', this.parts.settings.registryEveryMs, () =>
      this.askRegistry(),
    );
    this.every('reading verdicts', this.parts.settings.timings.headPollWithoutBusMs, () =>
      this.readVerdicts(),
    );
    this.every('a first election', this.parts.settings.timings.headPollWithoutBusMs, () => this.electFirst());
    this.every('pruning', PRUNE_EVERY_MS, () => this.prune());
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
    await this.parts.recovery.stop();
    await Promise.all([this.parts.head.stop(), this.parts.nodes.stop()]);
    await Promise.all([this.parts.elections.stop(), this.parts.witnesses.stop()]);
    await this.parts.detector.stop();
  }

  get ready(): boolean {
    return this.migrated;
  }

  private headChanged(head: { leaderId: string | null; incarnation: number }): void {
    const { leaderId, incarnation } = head;
    const leader = leaderId === null ? undefined : { nodeId: leaderId, incarnation };
    if (leader) this.parts.nodes.named(leader.nodeId, leader.incarnation);
    this.parts.detector.submit({ type: 'leader', leader, nowMs: this.parts.clock.monotonicMs() });
  }

  private async migrate(): Promise<void> {
    if (this.migrated) return;
    await this.parts.store.migrate();
    for (const verdict of await this.parts.store.verdicts()) this.parts.detector.onVerdict(verdict);
    await this.parts.recovery.begin();
    this.migrated = true;
    this.parts.witnesses.begin();
    this.parts.logger.info('migrated the tables of the service');
  }

  private async prune(): Promise<void> {
    if (!this.migrated) return;
    await this.parts.store.prune();
    await this.parts.recoveryStore.prune();
  }

  private async askRegistry(): Promise<void> {
    if (!this.parts.bus.connected) return;
    const { nodes } = await this.parts.bus.request(
      'registry.list',
      { kind: 'config-node' },
      { timeoutMs: 1_000 },
    );
    for (const node of nodes) this.parts.nodes.registered(node);
  }

  /** What other witnesses judged, when the bus cannot tell it. */
  private async readVerdicts(): Promise<void> {
    if (this.parts.bus.connected || !this.migrated) return;
    for (const verdict of await this.parts.store.verdicts()) this.parts.detector.onVerdict(verdict);
  }

  /** A new cluster has no leader to be judged. */
  private async electFirst(): Promise<void> {
    const { current } = this.parts.head;
    if (!this.migrated || current === undefined || current.leaderId !== null) return;
    const nowMs = this.parts.clock.monotonicMs();
    await this.parts.elections.replace(null, {
      reason: 'first',
      evidence: {},
      sinceMs: nowMs,
      judgedMs: nowMs,
    });
  }

  private every(what: string, everyMs: number, task: () => Promise<void> | void): void {
    this.loops.push(this.failures.repeat(what, task, { everyMs }));
  }
}
