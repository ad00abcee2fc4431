import {
  CONFIG_ENTRIES,
  type ConsistencyCheckReply,
  type ConsistencyRepaired,
  type ConsistencyReport,
  type EventPayload,
  type NodeHeartbeat,
  type NodeInfo,
  Problem,
} from '#libs/contracts';
import { type Clock, FailureLog, type Repeating } from '#libs/kernel';
import { Bus, type BusLogger, EventJournal } from '#libs/messaging';
import { StorageUnavailable } from '#libs/postgres';
import type { ConsistencySettings } from './consistency.config.js';
import { ConsistencyMetrics } from './consistency.metrics.js';
import { ConsistencyStore, type Happened } from './consistency.store.js';
import type { DigestClient } from './digest-client.js';
import { entriesEvents } from './domain/consistency-events.js';
import type { KnownNodes } from './domain/known-nodes.js';
import { type EntryFinding, ReferenceStore } from './reference/reference.store.js';
import type { ReferenceCheck } from './reference/reference-check.js';
import { Checks } from './rounds/checks.js';

const FINDINGS_AT_ONCE = 100;
const DISCARDED_SHOWN = 50;
/** Checks that wait for their turn: each may take seconds. */
const MAX_ASKED = 3;

export interface ConsistencyServiceParts {
  bus: Bus;
  members: KnownNodes;
  store: ConsistencyStore;
  truth: ReferenceStore;
  truthCheck: ReferenceCheck;
  checks: Checks;
  journal: EventJournal<Happened>;
  calls: DigestClient;
  metrics: ConsistencyMetrics;
  settings: ConsistencySettings;
  clock: Clock;
  logger: BusLogger;
}

/** The shell: knows the nodes, and has them checked on time and when somebody asks. */

export class ConsistencyService {
  private readonly failures: FailureLog;
  private readonly loops: Repeating[] = [];
  private rounds: Repeating | undefined;
  private migrated = false;
  private lastFindingId: number | undefined;
  private asked = 0;

  constructor(private readonly parts: ConsistencyServiceParts) {
    const { truthCheck, checks, calls, metrics, clock, logger } = parts;
    this.failures = new FailureLog(logger, clock, (what) => metrics.troubles.inc({ what }));
    metrics.watch(() => ({
      counts: checks.counts,
      bytes: calls.receivedBytes,
      truth: truthCheck.latest,
    }));
  }

  start(seeds: readonly { id: string; address: string }[]): void {
    for (const { id, address } of seeds) this.parts.members.update({ nodeId: id, incarnation: 0, address });
    const every = (what: string, everyMs: number, task: () => Promise<void>, firstAfterMs = 0) => {
      const loop = this.failures.repeat(what, task, { everyMs, firstAfterMs });
      this.loops.push(loop);
      return loop;
    };
    const { settings } = this.parts;
    every('reading members from the registry', settings.registryEveryMs, () => this.askRegistry());
    this.rounds = every('a round', settings.roundEveryMs, () => this.round());
    every(
      'comparing with the truth',
      settings.roundEveryMs,
      () => this.compareWithTruth(),
      settings.roundEveryMs,
    );
    every('what the leader found in the database', settings.findingsEveryMs, () => this.takeFindings());
    every('pruning', settings.pruneEveryMs, () => this.parts.store.prune(), settings.pruneEveryMs);
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
    await this.parts.journal.stop();
    await this.parts.store.instances
      .resign(this.parts.settings.instanceId)
      .catch((error: unknown) => this.failures.failed('taking leave', error));
  }

  get nodes(): number {
    return this.parts.members.ids().length;
  }

  heartbeat(beat: NodeHeartbeat): void {
    if (beat.kind === 'config-node') this.parts.members.update(beat);
  }

  registered(node: NodeInfo): void {
    const { id: nodeId, incarnation, address } = node;
    if (node.kind === 'config-node') this.parts.members.update({ nodeId, incarnation, address });
  }

  async deregistered({ nodeId, incarnation }: EventPayload<'node.deregistered'>): Promise<void> {
    if (this.parts.members.forget(nodeId, incarnation)) await this.parts.checks.forget(nodeId);
  }

  async check(repair: boolean): Promise<ConsistencyCheckReply> {
    if (this.asked >= MAX_ASKED) throw new Problem('cluster-busy', 'other checks are under way');
    this.asked++;
    try {
      await this.prepare();
      const reply = await this.parts.checks.asked(repair);
      if (reply.repairs.length > 0) this.rounds?.trigger();
      return reply;
    } catch (error) {
      throw stored(error);
    } finally {
      this.asked--;
    }
  }

  async report(): Promise<ConsistencyReport> {
    try {
      await this.prepare();
      const [report, discarded] = await Promise.all([
        this.parts.store.report(),
        this.parts.truth.discarded(DISCARDED_SHOWN),
      ]);
      return { ...report, discarded };
    } catch (error) {
      throw stored(error);
    }
  }

  private async round(): Promise<void> {
    await this.prepare();
    // What was set right is compared again at a new version, at once.
    if (await this.parts.checks.regular()) await this.parts.checks.regular();
  }

  private async compareWithTruth(): Promise<void> {
    if (this.migrated && (await this.parts.checks.regularTruth())) this.rounds?.trigger();
  }

  private async prepare(): Promise<void> {
    if (this.migrated) return;
    await this.parts.store.migrate();
    await this.parts.checks.recall();
    this.migrated = true;
  }

  private async takeFindings(): Promise<void> {
    if (!this.migrated) return;
    this.lastFindingId ??= await this.parts.store.lastFindingId();
    for (const finding of await this.parts.truth.entryFindings(this.lastFindingId, FINDINGS_AT_ONCE)) {
      const wallMs = this.parts.clock.wallMs();
      const reporter = { observer: finding.leaderId, wallMs, at: new Date(wallMs).toISOString() };
      const repaired = repairedOf(finding);
      const facts = entriesEvents(repaired, finding.id, reporter);
      this.parts.metrics.repairs.inc({ place: CONFIG_ENTRIES, outcome: repaired.outcome });
      // Several instances write the same rows: the first one counts.
      this.parts.journal.add({
        repairs: [{ id: facts[0]?.id ?? '', findingId: finding.id, repaired }],
        facts,
      });
      this.lastFindingId = finding.id;
    }
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
}

function repairedOf(finding: EntryFinding): ConsistencyRepaired {
  const { namespace, key, class: kind, expected, found, repaired, why, version, leaderId, at } = finding;
  return {
    place: CONFIG_ENTRIES,
    difference: { namespace, key, class: kind, expected, found },
    outcome: repaired ? 'repaired' : 'failed',
    ...{ why, version, observer: leaderId, at: at.toISOString() },
  };
}

function stored(error: unknown): unknown {
  if (!(error instanceof StorageUnavailable)) return error;
  return new Problem(
    'storage-unavailable',
    'what nodes are compared with is in the database',
    {},
    { cause: error },
  );
}
