import type { HealthChanged, HealthStanding, NodeHold, NodeVerdict } from '#libs/contracts';
import { type Clock, FailureLog, type Repeating } from '#libs/kernel';
import { Bus, type BusLogger } from '#libs/messaging';
import { Announcer } from './announcer.js';
import { MemberTable } from './domain/member-table.js';
import { RegistryMetrics } from './registry.metrics.js';
import { RegistryStore } from './registry.store.js';

const ASK_TIMEOUT_MS = 1_000;

export interface EvidenceIntakeParts {
  bus: Bus;
  members: MemberTable;
  store: RegistryStore;
  announcer: Announcer;
  metrics: RegistryMetrics;
  settings: { askEveryMs: number; retryEveryMs: number };
  clock: Clock;
  logger: BusLogger;
}

/**
 * Takes in what others know of members: failover's verdicts and holds, the health service's evidence. They are heard
 * as facts, and asked for at the start and now and then, for a fact that was missed. Who cannot be asked changes nothing.
 */

export class EvidenceIntake {
  private readonly failures: FailureLog;
  private readonly loops: Repeating[] = [];
  private readonly unsaved = new Map<string, NodeHold>();
  private readonly askedAtMs = new Map<string, number>();

  constructor(private readonly parts: EvidenceIntakeParts) {
    const { metrics, clock, logger } = parts;
    this.failures = new FailureLog(logger, clock, (what) => metrics.troubles.inc({ what }));
  }

  start(): void {
    const every = (what: string, task: () => Promise<void>) =>
      this.loops.push(this.failures.repeat(what, task, { everyMs: this.parts.settings.retryEveryMs }));
    every('asking for holds', () => this.nowAndThen('holds', () => this.askHolds()));
    every('asking for health evidence', () => this.nowAndThen('health', () => this.askHealth()));
    every('keeping holds', () => this.saveHolds());
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }

  verdict(verdict: NodeVerdict): void {
    const { judgedBy, confirmedBy, evidence } = verdict;
    const transition = this.parts.members.verdict(verdict, this.parts.clock.monotonicMs());
    this.parts.announcer.move(transition, { ...evidence, judgedBy, confirmedBy });
  }

  health(change: HealthChanged): void {
    this.parts.announcer.move(this.parts.members.health(change, this.parts.clock.monotonicMs()));
  }

  /** Renews what its sender still holds against nodes. */
  healthStanding({ down }: HealthStanding): void {
    for (const change of down) this.health(change);
  }

  hold(hold: NodeHold): void {
    const { news, transition } = this.parts.members.hold(
      hold,
      this.parts.clock.monotonicMs(),
      this.parts.clock.wallMs(),
    );
    if (news) this.unsaved.set(hold.nodeId, hold);
    this.parts.announcer.move(transition);
  }

  /** As they were kept; the greatest seq counts, so that this may come late. */
  async loadHolds(): Promise<void> {
    for (const hold of await this.parts.store.holds()) {
      const { transition } = this.parts.members.hold(
        hold,
        this.parts.clock.monotonicMs(),
        this.parts.clock.wallMs(),
      );
      this.parts.announcer.move(transition);
    }
  }

  private async askHolds(): Promise<void> {
    const { holds } = await this.parts.bus.request('failover.holds', {}, { timeoutMs: ASK_TIMEOUT_MS });
    for (const hold of holds) this.hold(hold);
  }

  private async askHealth(): Promise<void> {
    const { nodes } = await this.parts.bus.request('health.list', {}, { timeoutMs: ASK_TIMEOUT_MS });
    for (const change of nodes) this.health(change);
  }

  /** Often until there is an answer, then seldom. */
  private async nowAndThen(what: string, ask: () => Promise<void>): Promise<void> {
    const nowMs = this.parts.clock.monotonicMs();
    const lastMs = this.askedAtMs.get(what) ?? Number.NEGATIVE_INFINITY;
    if (!this.parts.bus.connected || nowMs - lastMs < this.parts.settings.askEveryMs) return;
    await ask();
    this.askedAtMs.set(what, nowMs);
  }

  private async saveHolds(): Promise<void> {
    for (const [nodeId, hold] of this.unsaved) {
      await this.parts.store.saveHold(hold);
      if (this.unsaved.get(nodeId) === hold) this.unsaved.delete(nodeId);
    }
  }
}
