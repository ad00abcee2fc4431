import type {
  EventPayload,
  HealthChanged,
  HealthListReply,
  HealthStanding,
  NodeHeartbeat,
  NodeInfo,
} from '#libs/contracts';
import { type Clock, FailureLog, type Repeating } from '#libs/kernel';
import { Bus, type BusLogger, EventJournal } from '#libs/messaging';
import { CheckTargets } from './domain/check-targets.js';
import { shareOf } from './domain/live-instances.js';
import { type CheckMove, changeOf } from './domain/node-check.js';
import { PeerEvidence } from './domain/peer-evidence.js';
import type { HealthSettings } from './health.config.js';
import { HealthMetrics } from './health.metrics.js';
import { HealthStore, type MoveEntry } from './health.store.js';
import { HealthInstances } from './health-instances.js';
import { NodeProbes } from './node-probes.js';

const MAX_SEQS = 1_000;

export interface HealthServiceParts {
  bus: Bus;
  store: HealthStore;
  probes: NodeProbes;
  peers: HealthInstances;
  journal: EventJournal<MoveEntry>;
  metrics: HealthMetrics;
  settings: HealthSettings;
  clock: Clock;
  logger: BusLogger;
}

/** The shell: knows the nodes and who shares the work, has its share probed, and tells what the probes have found. */

export class HealthService {
  private readonly evidence: PeerEvidence;
  private readonly targets = new CheckTargets();
  private readonly failures: FailureLog;
  private readonly loops: Repeating[] = [];
  private readonly seqs = new Map<string, number>();
  private sharedBy = '';
  private instances: string[] = [];
  private changed = true;
  private migrated = false;

  constructor(private readonly parts: HealthServiceParts) {
    const { probes, metrics, settings, clock, logger } = parts;
    this.failures = new FailureLog(logger, clock, (what) => metrics.troubles.inc({ what }));
    this.evidence = new PeerEvidence(settings.evidenceLifeMs);
    probes.whenMoved((move) => this.moved(move));
    metrics.watch(() => ({ states: probes.states(), instances: this.instances.length }));
  }

  start(seeds: readonly { id: string; address: string }[]): void {
    for (const { id, address } of seeds) this.learn({ nodeId: id, incarnation: 0, address });
    const every = (what: string, everyMs: number, task: () => Promise<void> | void, firstAfterMs = 0) =>
      this.loops.push(this.failures.repeat(what, task, { everyMs, firstAfterMs }));
    const { settings } = this.parts;
    every('sharing the work', settings.tickEveryMs, () => this.share());
    every('a sign of life', settings.standingEveryMs, () => this.say());
    every('a sign of life in a row', settings.rowsEveryMs.withoutBus, () => this.renewRow());
    every('making the tables', settings.retryEveryMs, () => this.prepare());
    every('reading members from the registry', settings.registryEveryMs, () => this.askRegistry());
    every('recording results', settings.flushEveryMs, () => this.flush(), settings.flushEveryMs);
    every('pruning', settings.pruneEveryMs, () => this.prune(), settings.pruneEveryMs);
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
    await this.parts.probes.stop();
    await this.parts.journal.stop();
    await this.parts.peers.leave().catch((error: unknown) => this.failures.failed('taking leave', error));
  }

  /** Nodes that this instance probes. */
  get probing(): number {
    return this.parts.probes.checks().length;
  }

  get alive(): readonly string[] {
    return this.instances;
  }

  heartbeat(beat: NodeHeartbeat): void {
    if (beat.kind === 'config-node') this.learn(beat);
  }

  registered(node: NodeInfo): void {
    const { id: nodeId, incarnation, address } = node;
    if (node.kind === 'config-node') this.learn({ nodeId, incarnation, address });
  }

  deregistered({ nodeId, incarnation }: EventPayload<'node.deregistered'>): void {
    if (!this.targets.forget(nodeId, incarnation)) return;
    this.evidence.forget(nodeId);
    this.changed = true;
  }

  /** From another instance; our own come back to us and change nothing. */
  onEvidence(change: HealthChanged): void {
    const { nodeId, observer } = change;
    if (observer === this.parts.settings.instanceId) return;
    this.parts.peers.observe({ instanceId: observer, leaving: false });
    this.noteSeq(nodeId, change.seq);
    if (this.evidence.apply(change, this.parts.clock.monotonicMs()) !== 'newer') return;
    const check = this.parts.probes.check(nodeId);
    const mine = check?.standing;
    // It is this instance's node to judge: what another says of it (before it heard of us) does not stay.
    if (!check || mine?.incarnation !== change.incarnation || mine.to === change.health) return;
    const move = check.repeat(this.now());
    if (move) this.moved(move);
  }

  standing(standing: HealthStanding): void {
    if (standing.instanceId === this.parts.settings.instanceId) return;
    this.parts.peers.observe(standing);
    for (const change of standing.down) {
      this.noteSeq(change.nodeId, change.seq);
      this.evidence.apply(change, this.parts.clock.monotonicMs());
    }
  }

  list(): HealthListReply {
    return { nodes: this.evidence.standing(this.parts.clock.monotonicMs()) };
  }

  private learn(heard: Parameters<CheckTargets['update']>[0]): void {
    const known = this.targets.get(heard.nodeId);
    const change = this.targets.update(heard);
    const now = this.targets.get(heard.nodeId);
    if (change !== 'same' || known?.incarnation !== now?.incarnation) this.changed = true;
  }

  private noteSeq(nodeId: string, seq: number): void {
    if (!this.seqs.has(nodeId) && this.seqs.size >= MAX_SEQS) return;
    this.seqs.set(nodeId, Math.max(seq, this.seqs.get(nodeId) ?? 0));
    this.parts.probes.check(nodeId)?.noteSeq(seq);
  }

  /** Only when the nodes or the instances have changed. */
  private share(): void {
    const instances = this.parts.peers.alive();
    const sharedBy = instances.join();
    if (!this.changed && sharedBy === this.sharedBy) return;
    const first = this.sharedBy === '';
    if (sharedBy !== this.sharedBy) this.parts.logger.info({ instances }, 'shard owners changed');
    this.changed = false;
    this.sharedBy = sharedBy;
    this.instances = instances;
    const all = this.targets.all();
    const ids = all.map(({ nodeId }) => nodeId);
    const mine = shareOf(this.parts.settings.instanceId, ids, instances);
    const { everyMs, fastEveryMs } = this.parts.settings.pace;
    const share = all.filter(({ nodeId }) => mine.has(nodeId));
    // At the start over a whole interval; of one who has died, the nodes are asked soon.
    this.parts.probes.assign(share, (nodeId) => this.seqs.get(nodeId) ?? 0, first ? everyMs : fastEveryMs);
  }

  private moved(move: CheckMove): void {
    const { nodeId, to, reason, seq, incarnation } = move;
    const change = changeOf(move);
    this.seqs.set(nodeId, seq);
    this.parts.metrics.transitions.inc({ to, reason: reason ?? 'none' });
    this.parts.logger[to === 'down' ? 'warn' : 'info']({ ...move }, 'the checks of a node changed');
    if (change) this.evidence.apply(change, this.parts.clock.monotonicMs());
    const id = `health.changed/${nodeId}/${incarnation}/${seq}`;
    const facts = change ? [{ id, subject: 'health.changed', payload: change }] : [];
    this.parts.journal.add({ move, facts });
  }

  /** A sign of life renews what this instance holds against nodes. */
  private say(): void {
    const down = this.parts.probes
      .checks()
      .map(({ standing }) => (standing?.to === 'down' ? changeOf(standing) : undefined))
      .filter((change) => change !== undefined);
    for (const change of down) this.evidence.apply(change, this.parts.clock.monotonicMs());
    this.parts.peers.say(down, false);
  }

  private async prepare(): Promise<void> {
    if (this.migrated) return;
    await this.parts.store.migrate();
    for (const { nodeId, seq } of await this.parts.store.seqs()) this.noteSeq(nodeId, seq);
    this.migrated = true;
  }

  private async renewRow(): Promise<void> {
    if (this.migrated) await this.parts.peers.renewRow();
  }

  private async askRegistry(): Promise<void> {
    if (!this.parts.bus.connected) return;
    const { nodes } = await this.parts.bus.request(
      'registry.list',
      { kind: 'config-node' },
      { timeoutMs: 1_000 },
    );
    for (const node of nodes) this.registered(node);
  }

  private async flush(): Promise<void> {
    if (!this.migrated) return;
    const rows = this.parts.probes.takeTouched().map((check) => {
      const { incarnation, state, reason, counted, seq, recent } = check.report();
      const { nodeId } = check;
      const observer = this.parts.settings.instanceId;
      return { nodeId, incarnation, seq, state, reason, consecutive: counted.consecutive, observer, recent };
    });
    if (rows.length > 0) await this.parts.store.saveNodes(rows, this.now().at);
  }

  private async prune(): Promise<void> {
    if (this.migrated) await this.parts.store.prune();
  }

  private now(): { at: string; wallMs: number } {
    const wallMs = this.parts.clock.wallMs();
    return { at: new Date(wallMs).toISOString(), wallMs };
  }
}
