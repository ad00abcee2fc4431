import { Injectable } from '@nestjs/common';
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

/** The shell: evidence in, the core decides, rows and news out. Knows the members from memory; stores only follow. */
@Injectable()
export class RegistryService {
  private readonly failures: FailureLog;
  private readonly hearing: LocalPauseGuard;
  private readonly loops: Repeating[] = [];
  /** Resolved when the stores have been asked once after the start, whatever they said. */
  private readonly firstLook = deferred<void>();
  private looked = false;
  private migrated = false;
  private refreshedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly bus: Bus,
    private readonly members: MemberTable,
    private readonly store: RegistryStore,
    private readonly cache: RegistryCache,
    private readonly journal: EventJournal<MemberEntry>,
    private readonly announcer: Announcer,
    private readonly intake: EvidenceIntake,
    private readonly metrics: RegistryMetrics,
    private readonly settings: RegistrySettings,
    private readonly clock: Clock,
    logger: BusLogger,
  ) {
    this.failures = new FailureLog(logger, clock, (what) => metrics.troubles.inc({ what }));
    this.hearing = new LocalPauseGuard(settings);
    journal.whenTaken(({ record }) => this.reload(record.nodeId));
    metrics.watch(() => this.members.records());
  }

  start(): void {
    const every = (what: string, everyMs: number, task: () => Promise<void> | void) =>
      this.loops.push(this.failures.repeat(what, task, { everyMs }));
    every('judging silence', this.settings.tickEveryMs, () => this.tick());
    every('renewing the cache and heartbeat rows', this.settings.flushEveryMs, () => this.flush());
    every('reading members from the stores', this.settings.retryEveryMs, () => this.refresh());
    every('pruning', this.settings.pruneEveryMs, () => this.prune());
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
    await this.journal.stop();
  }

  get loaded(): boolean {
    return this.migrated;
  }

  async register(request: AskedRequest<'registry.register'>, speaker: Speaker): Promise<RegisterReply> {
    await this.consultStore(request.nodeId);
    this.refuseStrangers(speaker, request.nodeId, request.kind);
    const at = this.now();
    const registration = { ...request, address: request.address ?? null };
    const result = this.members.register(registration, at, this.clock.monotonicMs());
    this.metrics.registrations.inc({ outcome: result.outcome });
    if (result.outcome === 'full') throw new Problem('cluster-busy', 'there are too many members');
    if (result.outcome === 'not-newer') return { accepted: false, exceed: result.exceed };
    if (speaker === 'cluster') this.members.ownedByCluster(request.nodeId);
    const node = this.members.info(result.record);
    const id = `node.registered/${node.id}/${node.incarnation}`;
    const payload: EventPayload<'node.registered'> = { node };
    this.announcer.record(result.record, result.transition, [{ id, subject: 'node.registered', payload }]);
    const { heartbeatEveryMs, heartbeatTimeoutMs } = this.settings;
    return { accepted: true, node, heartbeatEveryMs, heartbeatTimeoutMs };
  }

  heartbeat(heard: NodeHeartbeat, speaker: Speaker): void {
    const standing = this.members.ownership(heard.nodeId);
    const beat = speaker === 'cluster' ? heard : memberBeat(heard, standing);
    if (beat === undefined) {
      this.metrics.heartbeats.inc({ outcome: 'not-allowed' });
      return;
    }
    // Before the stores were asked a member that they know would be taken for a new one; it beats again soon.
    if (!this.looked && !this.members.get(beat.nodeId)) {
      this.metrics.heartbeats.inc({ outcome: 'early' });
      return;
    }
    const result = this.members.heartbeat(beat, this.now(), this.clock.monotonicMs());
    this.metrics.heartbeats.inc({ outcome: result.outcome });
    if (result.outcome !== 'applied' && result.outcome !== 'adopted') return;
    if (speaker === 'cluster') this.members.ownedByCluster(beat.nodeId);
    this.announcer.touched.add(beat.nodeId);
    this.announcer.move(result.transition);
  }

  /** From another instance; our own come back to us and change nothing. */
  statusChanged(change: NodeStatusChanged): void {
    const { to: status, ...rest } = change;
    this.members.mergeStatus({ ...rest, status }, { authoritative: false });
  }

  registered({ node }: EventPayload<'node.registered'>): void {
    this.introduce(node);
  }

  noteHead(version: number): void {
    this.members.noteHead(version);
  }

  async deregister(
    { nodeId, incarnation }: AskedRequest<'registry.deregister'>,
    speaker: Speaker,
  ): Promise<void> {
    this.refuseStrangers(speaker, nodeId, 'service');
    const before = this.members.get(nodeId);
    const outcome = this.members.deregister(nodeId, incarnation);
    if (outcome === 'unknown' || !before) throw new Problem('node-not-found', `no node ${nodeId}`);
    if (outcome === 'not-newer') {
      throw new Problem('precondition-failed', `incarnation ${before.incarnation} is registered`, {
        incarnation: before.incarnation,
      });
    }
    const payload = { nodeId, incarnation, at: this.now() };
    const id = `node.deregistered/${nodeId}/${incarnation}`;
    const record = { ...before, incarnation, left: true };
    this.announcer.record(record, undefined, [{ id, subject: 'node.deregistered', payload }]);
    await this.cache
      .remove(nodeId)
      .catch((error: unknown) => this.failures.failed('removing from the cache', error));
  }

  list(filter: AskedRequest<'registry.list'>): NodeInfo[] {
    return this.members
      .records()
      .filter((record) => !record.left)
      .filter((record) => filter.status === undefined || record.status === filter.status)
      .filter((record) => filter.kind === undefined || record.kind === filter.kind)
      .map((record) => this.members.info(record))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** From memory, else the database, else the cache. */
  async get(nodeId: string): Promise<GetNodeReply> {
    if (!this.members.get(nodeId)) await this.refreshOne(nodeId);
    const record = this.members.get(nodeId);
    if (!record) throw new Problem('node-not-found', `no node ${nodeId}`);
    const transitions = await this.store.transitions(nodeId, TRANSITIONS_SHOWN).catch((error: unknown) => {
      this.failures.failed('reading transitions', error);
      return [];
    });
    return { node: this.members.info(record), transitions };
  }

  private tick(): void {
    const nowMs = this.clock.monotonicMs();
    const hearing = this.hearing.observe(nowMs, this.bus.responsive);
    if (hearing !== 'hears') {
      this.members.forgiveSilence(nowMs);
      return;
    }
    for (const transition of this.members.tick(nowMs)) this.announcer.move(transition);
  }

  private async flush(): Promise<void> {
    const { touched } = this.announcer;
    const records = [...touched]
      .map((nodeId) => this.members.get(nodeId))
      .filter((record) => record !== undefined);
    touched.clear();
    if (records.length === 0) return;
    const nodes = records.map((record) => ({
      node: this.members.info(record),
      beatSeq: this.members.beatSeq(record.nodeId),
    }));
    const allIds = this.list({}).map((node) => node.id);
    const cached = this.cache
      .put(nodes, allIds)
      .catch((error: unknown) => this.failures.failed('renewing the cache', error));
    const stored = this.migrated ? this.store.saveHeartbeats(records) : undefined;
    await Promise.all([cached, stored]);
  }

  /** Often until the tables are there, then at its pace. */
  private async refresh(): Promise<void> {
    const nowMs = this.clock.monotonicMs();
    if (this.migrated && nowMs - this.refreshedAtMs < this.settings.refreshEveryMs) return;
    this.refreshedAtMs = nowMs;
    const looks = await Promise.allSettled([this.refreshFromCache(), this.refreshFromStore()]);
    this.looked = true;
    this.firstLook.resolve();
    for (const look of looks)
      if (look.status === 'rejected') this.failures.failed('reading members', look.reason);
  }

  private async refreshFromCache(): Promise<void> {
    for (const node of await this.cache.all()) this.introduce(node);
  }

  private async refreshFromStore(): Promise<void> {
    if (!this.migrated) {
      await this.store.migrate();
      this.migrated = true;
    }
    // Before the members: one that is kept out must not be let in for a moment.
    await this.intake.loadHolds();
    for (const stored of await this.store.load()) this.mergeStored(stored);
  }

  /** The stores know of registrations that another instance took, or this one before. Without them memory must do. */
  private async consultStore(nodeId: string): Promise<void> {
    await Promise.race([this.firstLook.promise, sleep(this.settings.firstLookMs)]);
    if (!this.migrated) return;
    await this.reload(nodeId).catch((error: unknown) => this.failures.failed('looking a member up', error));
  }

  private async reload(nodeId: string): Promise<void> {
    const stored = await this.store.read(nodeId);
    if (stored) this.mergeStored(stored);
  }

  private mergeStored({ record, standing }: StoredMember): void {
    const authoritative = this.journal.waiting === 0;
    this.members.merge(record, this.clock.monotonicMs(), { authoritative, standing });
  }

  private async refreshOne(nodeId: string): Promise<void> {
    await this.consultStore(nodeId);
    if (this.members.get(nodeId)) return;
    try {
      const cached = await this.cache.get(nodeId);
      if (cached) this.introduce(cached);
    } catch (error) {
      this.failures.failed('reading the cache', error);
    }
  }

  /** A member speaks for services of its own kind only. */
  private refuseStrangers(speaker: Speaker, nodeId: string, kind: 'config-node' | 'service'): void {
    if (speaker === 'cluster' || memberMayBe(kind, this.members.ownership(nodeId))) return;
    throw new Problem('forbidden', `${nodeId} belongs to the cluster: only its own processes speak for it`);
  }

  private introduce(node: NodeInfo): void {
    this.members.introduce(recordOf(node), this.clock.monotonicMs(), this.clock.wallMs());
  }

  private async prune(): Promise<void> {
    if (this.migrated) await this.store.prune();
  }

  private now(): string {
    return new Date(this.clock.wallMs()).toISOString();
  }
}

function recordOf(node: NodeInfo): MemberRecord {
  const { id, lag: _lag, ...rest } = node;
  return { nodeId: id, ...rest, left: false };
}
