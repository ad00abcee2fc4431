import type { FastifyInstance } from 'fastify';
import { type NodePing, Problem } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import { type Bus, BusError, DurableEvents } from '#libs/messaging';
import { EventLoopLag, type Logger, type Metrics, type Readiness } from '#libs/observability';
import type { Timings } from '#libs/settings';
import { Alerts } from './announce/alerts.js';
import { Broadcaster } from './announce/broadcaster.js';
import { EventCursor } from './announce/event-cursor.js';
import { BusListener } from './bus-listener.js';
import { Publisher } from './commit/publisher.js';
import { PublisherMetrics } from './commit/publisher.metrics.js';
import { RequestHashes } from './commit/request-hashes.js';
import { COMMITTER_OPTIONS, Committer } from './domain/commit/committer.js';
import type { StepDownReason } from './domain/commit/committer.types.js';
import type { HeadRow } from './domain/log.types.js';
import { Integrity } from './integrity/integrity.js';
import { CandidatePollHandler } from './internal-api/candidate-poll-handler.js';
import { registerInternalRoutes } from './internal-api/internal.routes.js';
import { HeadFreshnessWatch } from './leadership/head-freshness-watch.js';
import { HeadMonitor, type HeadMonitorOptions } from './leadership/head-monitor.js';
import { HighestVersion } from './leadership/highest-version.js';
import { Leadership } from './leadership/leadership.js';
import { ClusterMembership } from './membership/cluster-membership.js';
import { addNodeReadiness } from './membership/node-readiness.js';
import { SameIdGuard } from './membership/same-id-guard.js';
import { migrateWhenPossible } from './migration.js';
import { ConfigNodeMetrics } from './node.metrics.js';
import { PeerClient } from './peers/peer-client.js';
import { PeerTable } from './peers/peer-table.js';
import { ReplicaHost } from './replica/replica-host.js';
import { SnapshotFile } from './replica/snapshot-file.js';
import { Snapshotter } from './replica/snapshotter.js';
import { LogSources } from './replication/log-sources.js';
import { Replication } from './replication/replication.js';
import { COMPACTOR_OPTIONS, type CompactorOptions } from './retention/compactor.js';
import { Upkeep } from './retention/upkeep.js';
import { Divergence } from './state-transfer/divergence.js';
import { StateReload } from './state-transfer/state-reload.js';
import type { ConfigStore } from './store/config.store.js';

export interface ConfigNodeOptions {
  nodeId: string;
  mayLead: boolean;
  priority: number;
  metadata: Record<string, string>;
  dataDir: string;
  maxLostTail: number;
  clusterKey: string;
  seeds: readonly { id: string; address: string }[];
  timings: Timings;
  retention?: Partial<CompactorOptions>;
}

/** What the engine stands on; made and closed by whoever starts it. */
export interface ConfigNodeParts {
  store: ConfigStore;
  bus: Bus;
  metrics: Metrics;
  clock: Clock;
  logger: Logger;
}

/** An observer is never elected, and there may be hundreds: as long as the leader vouches for the head it reads that seldom. */
const OBSERVER_READS_HEAD_MS = 10_000;

/** A handover takes some 100 ms; a node that stops does not wait for ever for somebody to take over. */
const HANDOVER_MS = 2_000;

/** Everything of a config node but its public interface: the replica, and what keeps it right. */
export class ConfigNode {
  readonly host: ReplicaHost;
  readonly publisher: Publisher;
  readonly leadership: Leadership;
  readonly replication: Replication;
  readonly membership: ClusterMembership;
  readonly divergence: Divergence;
  readonly integrity: Integrity;
  private readonly snapshotter: Snapshotter;
  private readonly reload: StateReload;
  private readonly broadcaster: Broadcaster;
  private readonly eventCursor: EventCursor;
  private readonly upkeep: Upkeep;
  private readonly headMonitor: HeadMonitor;
  private readonly poll: CandidatePollHandler;
  private readonly sameId: SameIdGuard;
  private readonly listener: BusListener;
  private readonly engineMetrics: ConfigNodeMetrics;
  private readonly eventLoop = new EventLoopLag();
  private readonly aborted = new AbortController();
  private migrating: Promise<void> | undefined;

  constructor(
    options: ConfigNodeOptions,
    private readonly parts: ConfigNodeParts,
  ) {
    const { store, bus, metrics, clock, logger } = parts;
    const { nodeId, dataDir, timings } = options;
    const headRead = (head: HeadRow, at: number, ms: number) => this.headRead(head, at, ms);
    const readHead = () => this.headMonitor.trigger();
    const host = new ReplicaHost(nodeId, clock);
    const peers = new PeerTable(nodeId, options.seeds, options.maxLostTail, clock);
    const client = new PeerClient(options.clusterKey);
    const alerts = new Alerts(nodeId, bus, clock);
    this.host = host;
    this.snapshotter = new Snapshotter(host, new SnapshotFile(dataDir, logger), logger);
    const confirmedAgoMs = () => this.leadership.fenceConfirmedAgoMs;
    this.broadcaster = new Broadcaster(host, bus, timings.headEveryMs, confirmedAgoMs, logger);
    this.eventCursor = new EventCursor(host, store, bus, new DurableEvents(bus, logger), metrics, logger);
    this.headMonitor = new HeadMonitor({
      options: headPolling(options),
      host,
      store,
      busConnected: () => bus.connected,
      listener: headRead,
      clock,
      logger,
    });
    this.publisher = new Publisher(
      new Committer(host.replica, { ...COMMITTER_OPTIONS, confirmEveryMs: timings.fenceConfirmEveryMs }),
      store,
      clock,
      new PublisherMetrics(metrics),
      {
        applied: (changes) => {
          host.announce(changes);
          this.broadcaster.changes(changes);
        },
        fenceConfirmed: (sentAtMs) => {
          this.leadership.fenceConfirmed(sentAtMs);
          host.learnHead(host.replica, sentAtMs);
        },
        steppedDown: (why, head) => this.leadership.steppedDown(why, head),
        leader: () => this.leadership.leader,
      },
      new RequestHashes(options.clusterKey),
    );
    const retention = { ...COMPACTOR_OPTIONS, ...options.retention };
    const upkeepParts = { store, host, publisher: this.publisher, alerts };
    this.upkeep = new Upkeep(retention, upkeepParts, metrics, clock, logger);
    this.divergence = new Divergence({
      options,
      host,
      store,
      snapshotter: this.snapshotter,
      alerts,
      suspect: readHead,
      clock,
      logger,
    });
    this.replication = new Replication({
      host,
      store,
      sources: new LogSources(bus, store, peers, client, logger),
      peers,
      client,
      divergence: this.divergence,
      duties: { isLeading: () => this.publisher.isLeading },
      clock,
      logger,
    });
    const highestVersion = new HighestVersion(peers, client, logger);
    this.leadership = new Leadership({
      options,
      host,
      peers,
      publisher: this.publisher,
      duties: {
        incarnation: () => this.membership.incarnation,
        address: () => this.membership.address,
        catchUp: (head) => this.replication.catchUp(head),
        highestVersionElsewhere: (limit, previous) =>
          highestVersion.ask(host.replica.clusterId, limit, previous),
        readHead: () => store.readHead(),
        termBegan: (term) => this.termBegan(term),
        termEnded: (term, why) => this.termEnded(term, why),
      },
      clock,
      logger,
    });
    const { publisher, snapshotter } = this;
    const reload = new StateReload({ host, store, client, publisher, snapshotter, readHead, clock, logger });
    this.reload = reload;
    const duties = {
      leaderId: () => this.leadership.leaderId,
      lag: () => this.replication.lag,
      readHead: () => store.readHead(),
      reload: (peer: string | null) => reload.reload(peer),
    };
    this.integrity = new Integrity({ host, peers, client, duties, alerts, metrics, clock, logger });
    this.membership = new ClusterMembership({
      options: { ...options, heartbeatEveryMs: timings.heartbeatEveryMs },
      host,
      leadership: this.leadership,
      verification: this.integrity.verification,
      divergence: this.divergence,
      bus,
      lag: this.eventLoop,
      clock,
      logger,
    });
    this.poll = new CandidatePollHandler({
      host,
      leadership: this.leadership,
      membership: this.membership,
      store,
      headRead,
      options,
      clock,
      logger,
    });
    const { leadership, replication, poll, membership } = this;
    this.sameId = new SameIdGuard({ ...options, membership, client, bus, alerts, clock, logger });
    const freshness = new HeadFreshnessWatch(clock, () => bus.flush());
    const { sameId } = this;
    const heard = { host, peers, leadership, replication, poll, sameId, freshness };
    this.listener = new BusListener({ ...heard, bus, readHead });
    this.engineMetrics = new ConfigNodeMetrics(metrics, host, this.leadership, this.replication);
  }

  /** Before the node listens: its number, and what it held when it last ran. */
  async restore(): Promise<void> {
    await this.membership.begin();
    await this.snapshotter.restore();
  }

  /**
   * The node listens at `address` and may take part. Needs neither database nor bus. Rejects when another process with the
   * id of this node answers.
   */
  async start(address: string): Promise<void> {
    await this.sameId.demandOwnId(address);
    this.membership.start(address);
    this.sameId.start();
    this.listener.start();
    this.snapshotter.start();
    this.integrity.start();
    this.headMonitor.start();
    const { store, logger } = this.parts;
    this.migrating = migrateWhenPossible(
      store,
      () => this.headMonitor.trigger(),
      this.aborted.signal,
      logger,
    );
  }

  registerInternalApi(fastify: FastifyInstance): Promise<void> {
    return registerInternalRoutes(fastify, {
      host: this.host,
      leadership: this.leadership,
      publisher: this.publisher,
      replication: this.replication,
      poll: this.poll,
      integrity: this.integrity,
      repair: { snapshotter: this.snapshotter, reload: this.reload },
      sameId: this.sameId,
      store: this.parts.store,
      logger: this.parts.logger,
    });
  }

  addReadiness(readiness: Readiness): void {
    const { host, membership, leadership, replication, integrity, parts } = this;
    const { store, bus } = parts;
    const { verification } = integrity;
    addNodeReadiness(readiness, { host, membership, leadership, replication, verification, store, bus });
  }

  ping(): NodePing {
    return {
      nodeId: this.host.nodeId,
      clusterId: this.host.replica.clusterId,
      incarnation: this.membership.incarnation,
      role: this.leadership.role,
      term: this.leadership.termOfRole,
      version: this.host.replica.version,
      highestVersion: this.host.highestVersion,
      fenceConfirmedAgoMs: this.leadership.fenceConfirmedAgoMs,
      stopping: this.membership.condition === 'stopping',
    };
  }

  /** Says that the node stops, and sees to it that another leads. It still serves reads. */
  async announceStop(): Promise<void> {
    this.membership.announceStop();
    this.aborted.abort();
    if (this.publisher.isLeading) await this.handOver();
    await this.leadership.resign();
  }

  async stop(): Promise<void> {
    this.listener.stop();
    await this.headMonitor.stop();
    await this.replication.stop();
    await this.integrity.stop();
    await this.sameId.stop();
    await this.membership.stop();
    await this.broadcaster.stop();
    await this.eventCursor.stop();
    await this.upkeep.stop();
    await this.migrating;
    this.publisher.stop();
    this.eventLoop.stop();
    await this.snapshotter.stop();
  }

  /** No write fails when it succeeds; when it does not, the others find out by themselves. */
  private async handOver(): Promise<void> {
    try {
      await this.parts.bus.request('failover.handover', {}, { timeoutMs: HANDOVER_MS });
    } catch (error) {
      if (!(error instanceof BusError || error instanceof Problem)) throw error;
      this.parts.logger.warn({ reason: error.message }, 'handing leadership over failed');
    }
  }

  private async headRead(head: HeadRow, versionAtAsking: number, askedAtMs: number): Promise<void> {
    const verdict = await this.replication.headRead(head, versionAtAsking, askedAtMs);
    if (verdict !== 'wrong-database') this.leadership.headRead(head);
  }

  private termBegan(term: number): void {
    this.listener.unfollow();
    this.broadcaster.begin(term);
    this.eventCursor.begin();
    const { incarnation } = this.membership;
    this.upkeep.begin({ term, leaderId: this.host.nodeId, incarnation });
  }

  private termEnded(term: number, why: StepDownReason): void {
    const { bus, clock } = this.parts;
    this.engineMetrics.stepDowns.inc({ why });
    this.broadcaster.end();
    this.eventCursor.end();
    this.upkeep.end();
    this.listener.follow();
    const at = new Date(clock.wallMs()).toISOString();
    const { nodeId } = this.host;
    bus.publish('leader.lost', { nodeId, term, reason: why, at }, { id: `leader.lost:${term}:${nodeId}` });
    this.headMonitor.trigger();
  }
}

function headPolling({ timings, mayLead }: ConfigNodeOptions): HeadMonitorOptions {
  const { headPollEveryMs: everyMs, headPollWithoutBusMs: withoutBusMs } = timings;
  return {
    everyMs,
    withoutBusMs,
    confirmedMs: mayLead ? everyMs : Math.max(everyMs, OBSERVER_READS_HEAD_MS),
  };
}
