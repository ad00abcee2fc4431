import {
  type EventPayload,
  type GetNodeReply,
  type NodeHeartbeat,
  type NodeInfo,
  type NodeStatusChanged,
  Problem,
  type RegisterReply,
} from '#libs/contracts';
import { type Clock, deferred, FailureLog, type Repeating, sleep } from '#libs/kernel';
import { type AskedRequest, Bus, type BusLogger, EventJournal, type Speaker } from '#libs/messaging';
import { Announcer } from './announcer.js';
import { LocalPauseGuard } from './domain/local-pause-guard.js';
import type { MemberRecord } from './domain/member.js';
import { memberBeat, memberMayBe } from './domain/member-rights.js';
import { MemberTable } from './domain/member-table.js';
import { EvidenceIntake } from './evidence-intake.js';
import { RegistryCache } from './registry.cache.js';
import type { RegistrySettings } from './registry.config.js';
import { RegistryMetrics } from './registry.metrics.js';
import { type MemberEntry, RegistryStore, type StoredMember } from './registry.store.js';

const TRANSITIONS_SHOWN = 20;

export interface RegistryServiceParts {
  bus: Bus;
  members: MemberTable;
  store: RegistryStore;
  cache: RegistryCache;
  journal: EventJournal<MemberEntry>;
  announcer: Announcer;
  intake: EvidenceIntake;
  metrics: RegistryMetrics;
  settings: RegistrySettings;
  clock: Clock;
  logger: BusLogger;
}

/** The shell: evidence in, the core decides, rows and news out. Knows the members from memory; stores only follow. */

export class RegistryService {
  private readonly failures: FailureLog;
  private readonly hearing: LocalPauseGuard;
  private readonly loops: Repeating[] = [];
  /** Resolved when the stores have been asked once after the start, whatever they said. */
  private readonly firstLook = deferred<void>();
  private looked = false;
  private migrated = false;
  private refreshedAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly parts: RegistryServiceParts) {
    const { journal, metrics, settings, clock, logger } = parts;
    this.failures = new FailureLog(logger, clock, (what) => metrics.troubles.inc({ what }));
    this.hearing = new LocalPauseGuard(settings);
    journal.whenTaken(({ record }) => this.reload(record.nodeId));
    metrics.watch(() => this.parts.members.records());
  }

  start(): void {
    const every = (what: string, everyMs: number, task: () => Promise<void> | void) =>
      this.loops.push(this.failures.repeat(what, task, { everyMs }));
    every('judging silence', this.parts.settings.tickEveryMs, () => this.tick());
    every('renewing the cache and heartbeat rows', this.parts.settings.flushEveryMs, () => this.flush());
    every('reading members from the stores', this.parts.settings.retryEveryMs, () => this.refresh());
    every('pruning', this.parts.settings.pruneEveryMs, () => this.prune());
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
    await this.parts.journal.stop();
  }

  get loaded(): boolean {
    return this.migrated;
  }

  async register(request: AskedRequest<'registry.register'>, speaker: Speaker): Promise<RegisterReply> {
    await this.consultStore(request.nodeId);
    this.refuseStrangers(speaker, request.nodeId, request.kind);
    const at = this.now();
    const registration = { ...request, address: request.address ?? null };
    const result = this.parts.members.register(registration, at, this.parts.clock.monotonicMs());
    this.parts.metrics.registrations.inc({ outcome: result.outcome });
    if (result.outcome === 'full') throw new Problem('cluster-busy', 'there are too many members');
    if (result.outcome === 'not-newer') return { accepted: false, exceed: result.exceed };
    if (speaker === 'cluster') this.parts.members.ownedByCluster(request.nodeId);
    const node = this.parts.members.info(result.record);
    const id = `node.registered/${node.id}/${node.incarnation}`;
    const payload: EventPayload<'node.registered'> = { node };
    this.parts.announcer.record(result.record, result.transition, [
      { id, subject: 'node.registered', payload },
    ]);
    const { heartbeatEveryMs, heartbeatTimeoutMs } = this.parts.settings;
    return { accepted: true, node, heartbeatEveryMs, heartbeatTimeoutMs };
  }

  heartbeat(heard: NodeHeartbeat, speaker: Speaker): void {
    const standing = this.parts.members.ownership(heard.nodeId);
    const beat = speaker === 'cluster' ? heard : memberBeat(heard, standing);
    if (beat === undefined) {
      this.parts.metrics.heartbeats.inc({ outcome: 'not-allowed' });
      return;
    }
    // Before the stores were asked a member that they know would be taken for a new one; it beats again soon.
    if (!this.looked && !this.parts.members.get(beat.nodeId)) {
      this.parts.metrics.heartbeats.inc({ outcome: 'early' });
      return;
    }
    const result = this.parts.members.heartbeat(beat, this.now(), this.parts.clock.monotonicMs());
    this.parts.metrics.heartbeats.inc({ outcome: result.outcome });
    if (result.outcome !== 'applied' && result.outcome !== 'adopted') return;
    if (speaker === 'cluster') this.parts.members.ownedByCluster(beat.nodeId);
    this.parts.announcer.touched.add(beat.nodeId);
    this.parts.announcer.move(result.transition);
  }

  /** From another instance; our own come back to us and change nothing. */
  statusChanged(change: NodeStatusChanged): void {
    const { to: status, ...rest } = change;
    this.parts.members.mergeStatus({ ...rest, status }, { authoritative: false });
  }

  registered({ node }: EventPayload<'node.registered'>): void {
    this.introduce(node);
  }

  noteHead(version: number): void {
    this.parts.members.noteHead(version);
  }

  async deregister(
    { nodeId, incarnation }: AskedRequest<'registry.deregister'>,
    speaker: Speaker,
  ): Promise<void> {
    this.refuseStrangers(speaker, nodeId, 'service');
    const before = this.parts.members.get(nodeId);
    const outcome = this.parts.members.deregister(nodeId, incarnation);
    if (outcome === 'unknown' || !before) throw new Problem('node-not-found', `no node ${nodeId}`);
    if (outcome === 'not-newer') {
      throw new Problem('precondition-failed', `incarnation ${before.incarnation} is registered`, {
        incarnation: before.incarnation,
      });
    }
    const payload = { nodeId, incarnation, at: this.now() };
    const id = `node.deregistered/${nodeId}/${incarnation}`;
    const record = { ...before, incarnation, left: true };
    this.parts.announcer.record(record, undefined, [{ id, subject: 'node.deregistered', payload }]);
    await this.parts.cache
      .remove(nodeId)
      .catch((error: unknown) => this.failures.failed('removing from the cache', error));
  }

  list(filter: AskedRequest<'registry.list'>): NodeInfo[] {
    return this.parts.members
      .records()
      .filter((record) => !record.left)
      .filter((record) => filter.status === undefined || record.status === filter.status)
      .filter((record) => filter.kind === undefined || record.kind === filter.kind)
      .map((record) => this.parts.members.info(record))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** From memory, else the database, else the cache. */
  async get(nodeId: string): Promise<GetNodeReply> {
    if (!this.parts.members.get(nodeId)) await this.refreshOne(nodeId);
    const record = this.parts.members.get(nodeId);
    if (!record) throw new Problem('node-not-found', `no node ${nodeId}`);
    const transitions = await this.parts.store
      .transitions(nodeId, TRANSITIONS_SHOWN)
      .catch((error: unknown) => {
        this.failures.failed('reading transitions', error);
        return [];
      });
    return { node: this.parts.members.info(record), transitions };
  }

  private tick(): void {
    const nowMs = this.parts.clock.monotonicMs();
    const hearing = this.hearing.observe(nowMs, this.parts.bus.responsive);
    if (hearing !== 'hears') {
      this.parts.members.resetHeartbeatDeadlines(nowMs);
      return;
    }
    for (const transition of this.parts.members.tick(nowMs)) this.parts.announcer.move(transition);
  }

  private async flush(): Promise<void> {
    const { touched } = this.parts.announcer;
    const records = [...touched]
      .map((nodeId) => this.parts.members.get(nodeId))
      .filter((record) => record !== undefined);
    touched.clear();
    if (records.length === 0) return;
    const nodes = records.map((record) => ({
      node: this.parts.members.info(record),
      beatSeq: this.parts.members.beatSeq(record.nodeId),
    }));
    const allIds = this.list({}).map((node) => node.id);
    const cached = this.parts.cache
      .put(nodes, allIds)
      .catch((error: unknown) => this.failures.failed('renewing the cache', error));
    const stored = this.migrated ? this.parts.store.saveHeartbeats(records) : undefined;
    await Promise.all([cached, stored]);
  }

  /** Often until the tables are there, then at its pace. */
  private async refresh(): Promise<void> {
    const nowMs = this.parts.clock.monotonicMs();
    if (this.migrated && nowMs - this.refreshedAtMs < this.parts.settings.refreshEveryMs) return;
    this.refreshedAtMs = nowMs;
    const looks = await Promise.allSettled([this.refreshFromCache(), this.refreshFromStore()]);
    this.looked = true;
    this.firstLook.resolve();
    for (const look of looks)
      if (look.status === 'rejected') this.failures.failed('reading members', look.reason);
  }

  private async refreshFromCache(): Promise<void> {
    for (const node of await this.parts.cache.all()) this.introduce(node);
  }

  private async refreshFromStore(): Promise<void> {
    if (!this.migrated) {
      await this.parts.store.migrate();
      this.migrated = true;
    }
    // Before the members: one that is kept out must not be let in for a moment.
    await this.parts.intake.loadHolds();
    for (const stored of await this.parts.store.load()) this.mergeStored(stored);
  }

  /** The stores know of registrations that another instance took, or this one before. Without them memory must do. */
  private async consultStore(nodeId: string): Promise<void> {
    await Promise.race([this.firstLook.promise, sleep(this.parts.settings.firstLookMs)]);
    if (!this.migrated) return;
    await this.reload(nodeId).catch((error: unknown) => this.failures.failed('looking a member up', error));
  }

  private async reload(nodeId: string): Promise<void> {
    const stored = await this.parts.store.read(nodeId);
    if (stored) this.mergeStored(stored);
  }

  private mergeStored({ record, standing }: StoredMember): void {
    const authoritative = this.parts.journal.waiting === 0;
    this.parts.members.merge(record, this.parts.clock.monotonicMs(), { authoritative, standing });
  }

  private async refreshOne(nodeId: string): Promise<void> {
    await this.consultStore(nodeId);
    if (this.parts.members.get(nodeId)) return;
    try {
      const cached = await this.parts.cache.get(nodeId);
      if (cached) this.introduce(cached);
    } catch (error) {
      this.failures.failed('reading the cache', error);
    }
  }

  /** A member speaks for services of its own kind only. */
  private refuseStrangers(speaker: Speaker, nodeId: string, kind: 'config-node' | 'service'): void {
    if (speaker === 'cluster' || memberMayBe(kind, this.parts.members.ownership(nodeId))) return;
    throw new Problem('forbidden', `${nodeId} belongs to the cluster: only its own processes speak for it`);
  }

  private introduce(node: NodeInfo): void {
    this.parts.members.introduce(recordOf(node), this.parts.clock.monotonicMs(), this.parts.clock.wallMs());
  }

  private async prune(): Promise<void> {
    if (this.migrated) await this.parts.store.prune();
  }

  private now(): string {
    return new Date(this.parts.clock.wallMs()).toISOString();
  }
}

function recordOf(node: NodeInfo): MemberRecord {
  const { id, lag: _lag, ...rest } = node;
  return { nodeId: id, ...rest, left: false };
}
