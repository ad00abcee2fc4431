import { type Change, type Head, LIMITS, Problem, type SyncReply } from '#libs/contracts';
import { type Clock, FailureLog, sleep } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { ApplyResult } from '#libs/replica';
import { type HeadVerdict, judgeHead } from '../domain/head-verdict.js';
import type { HeadRow } from '../domain/log.types.js';
import type { PeerClient } from '../peers/peer-client.js';
import type { PeerTable } from '../peers/peer-table.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { Divergence } from '../state-transfer/divergence.js';
import { StateLoading } from '../state-transfer/state-loading.js';
import type { ConfigStore } from '../store/config.store.js';
import type { LogSources, Pulled } from './log-sources.js';

export type HeadPoint = Pick<Head, 'version' | 'chain'>;

export interface ReplicationDuties {
  /** While this node leads, nobody but its own committer changes the replica. */
  isLeading(): boolean;
}

const BEHIND_PULL_MS = 1_000;
const RETRY_MS = 200;
/** A standby may answer before it has what the primary's head tells of, but not for so long. */
const CATCH_UP_STUCK_MS = 2_000;
const MAX_BUFFERED_MESSAGES = 64;

export interface ReplicationParts {
  host: ReplicaHost;
  store: ConfigStore;
  sources: LogSources;
  peers: PeerTable;
  client: PeerClient;
  divergence: Divergence;
  duties: ReplicationDuties;
  clock: Clock;
  logger: Logger;
}

/** Keeps a follower's replica at the head: by what is broadcast, else by pulling, else by loading the whole state. */
export class Replication {
  private target: HeadPoint | undefined;
  private behindSinceMs: number | undefined;
  private pulling: Promise<void> | undefined;
  private loadInstead = false;
  private readonly loading: StateLoading;
  /** A change did not continue this history: either may be the wrong one. */
  private contradicted = false;
  private stopped = false;
  private readonly failures: FailureLog;
  /** Broadcasts from beyond a gap that is being closed. */
  private buffered: Change[][] = [];

  constructor(private readonly parts: ReplicationParts) {
    const { host, store, peers, client, divergence, duties, clock, logger } = parts;
    this.failures = new FailureLog(logger, clock);
    const loadingDuties = { isLeading: () => duties.isLeading(), replaced: () => this.forgetHistory() };
    this.loading = new StateLoading({
      host,
      store,
      peers,
      client,
      divergence,
      duties: loadingDuties,
      clock,
      logger,
    });
  }

  /** Versions that this node is behind the highest head it heard of. */
  get lag(): number {
    return Math.max(0, (this.target?.version ?? 0) - this.parts.host.replica.version);
  }

  /** Changes and where the leader then stood, which was right as of a moment, if that can be told. */
  broadcast(changes: readonly Change[], head: HeadPoint, asOfMs: number | undefined): void {
    if (this.parts.duties.isLeading() || this.parts.divergence.isWrongDatabase) return;
    this.aim(head);
    const result = this.apply(changes);
    if (result === 'gap') {
      if (this.buffered.length < MAX_BUFFERED_MESSAGES) this.buffered.push([...changes]);
      this.pull();
    } else if (this.lag > 0 && changes.length === 0) {
      this.pull(); // too large for the bus
    }
    if (asOfMs !== undefined) this.parts.host.learnHead(head, asOfMs);
  }

  /** Somebody told where the leader stands. */
  headHeard(head: HeadPoint, asOfMs: number | undefined): void {
    if (this.parts.duties.isLeading() || this.parts.divergence.isWrongDatabase) return;
    this.aim(head);
    if (asOfMs !== undefined) this.parts.host.learnHead(head, asOfMs);
    this.pullIfLong();
  }

  /** Head as the database has it, asked for when this node was at `versionAtAsking`. */
  async headRead(head: HeadRow, versionAtAsking: number, askedAtMs: number): Promise<HeadVerdict> {
    const verdict = await this.judgeSurely(head, versionAtAsking);
    if (verdict === 'wrong-database') {
      await this.parts.divergence.wrongDatabase(head);
      return verdict;
    }
    this.parts.divergence.rightDatabase();
    if (this.parts.host.replica.clusterId === null) this.parts.host.replica.adopt(head.clusterId);
    if (verdict === 'diverged' && !this.parts.duties.isLeading()) await this.resynchronise('diverged');
    else this.parts.host.learnHead(head, askedAtMs);
    if (!this.parts.duties.isLeading()) {
      // What was heard may be further on than head only by what the database lost since: head decides.
      this.target = { version: head.version, chain: head.chain };
      this.pullIfLong();
    }
    return verdict;
  }

  /** The state is being replaced. */
  get isLoading(): boolean {
    return this.loading.isUnderWay;
  }

  /** Somebody found that the log does not have this node's history: the next read of head says whether that is so. */
  doubt(): void {
    this.contradicted = true;
    this.parts.divergence.suspect();
  }

  /** Changes pushed by the sync service. */
  receive(changes: readonly Change[]): SyncReply {
    this.refuseWrongDatabase();
    if (!this.parts.duties.isLeading()) this.apply(changes);
    const { version, chain } = this.parts.host.replica;
    return { version, chain };
  }

  /** Straight from the log to where head stands; false when the log does not lead there. */
  async catchUp(head: HeadRow): Promise<boolean> {
    try {
      return await this.followLog(head);
    } finally {
      this.parts.sources.discardPrefetch();
    }
  }

  /** Replaces everything by the state at head; joins when that is going on. */
  resynchronise(reason: 'compacted' | 'diverged'): Promise<void> {
    return this.loading.fromDatabase(reason);
  }

  /** The sync service found that a whole state is the quickest way: from one of these nodes, else the database. */
  async loadAnew(from: readonly string[]): Promise<void> {
    this.refuseWrongDatabase();
    // What only this node holds would be gone unsaved: head decides first.
    if (this.contradicted) throw new Problem('cluster-busy', 'the history of this node is in doubt');
    await this.loading.fromNodes(from);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.loading.stop();
    await this.pulling;
  }

  /** Begins to pull unless that is going on. */
  pull(): void {
    if (this.pulling !== undefined || this.stopped) return;
    this.pulling = this.pullAll()
      .then(() => this.failures.succeeded('pulling changes'))
      .catch((error: unknown) => this.failures.failed('pulling changes', error))
      .finally(() => {
        this.pulling = undefined;
        this.parts.sources.discardPrefetch();
      });
  }

  private async followLog(head: HeadRow): Promise<boolean> {
    let movedAtMs = this.parts.clock.monotonicMs();
    while (this.parts.host.replica.version < head.version && !this.stopped) {
      const before = this.parts.host.replica.version;
      const changes = await this.parts.sources.fromLog(before);
      if (changes === 'compacted') await this.resynchronise('compacted');
      else if (this.apply(changes) === 'diverged') return false;
      if (this.parts.host.replica.version > before) movedAtMs = this.parts.clock.monotonicMs();
      else if (this.parts.clock.monotonicMs() - movedAtMs > CATCH_UP_STUCK_MS) return false;
      else await sleep(RETRY_MS / 10);
    }
    return (
      this.parts.host.replica.chainAt(head.version) === head.chain ||
      this.parts.host.replica.version > head.version
    );
  }

  private refuseWrongDatabase(): void {
    if (this.parts.divergence.isWrongDatabase)
      throw new Problem('storage-unavailable', 'this node met a wrong database');
  }

  private forgetHistory(): void {
    this.contradicted = false;
    this.buffered = [];
  }

  private pullIfLong(): void {
    if (this.lag === 0) {
      this.behindSinceMs = undefined;
      return;
    }
    const nowMs = this.parts.clock.monotonicMs();
    this.behindSinceMs ??= nowMs;
    if (this.parts.host.isAwaited || nowMs - this.behindSinceMs >= BEHIND_PULL_MS) this.pull();
  }

  private aim(head: HeadPoint): void {
    if (head.version > (this.target?.version ?? 0))
      this.target = { version: head.version, chain: head.chain };
  }

  private judge(head: HeadRow, versionAtAsking: number): HeadVerdict {
    const { replica } = this.parts.host;
    return judgeHead(
      {
        clusterId: replica.clusterId,
        versionAtAsking,
        version: replica.version,
        chainAt: (version) => replica.chainAt(version),
      },
      head,
      this.parts.divergence.maxLostTail,
    );
  }

  /**
   * What a plain read of head says is acted on only where nothing is given up for it: a primary that was replaced
   * still answers reads. Before anything is discarded head is learnt by a statement that commits.
   */
  private async judgeSurely(head: HeadRow, versionAtAsking: number): Promise<HeadVerdict> {
    const verdict = this.judge(head, versionAtAsking);
    if (this.parts.duties.isLeading()) return verdict;
    if (verdict === 'diverged' || verdict === 'wrong-database') {
      const before = this.parts.host.replica.version;
      return this.judge(await this.parts.store.barrier(), before);
    }
    if (verdict === 'behind' && this.contradicted) return (await this.isInLog()) ? 'behind' : 'diverged';
    return verdict;
  }

  /** Whether the log has the last change that this node has. Head may have passed a tail that the database lost. */
  private async isInLog(): Promise<boolean> {
    const { version, chain } = this.parts.host.replica;
    if (version === 0) return true;
    const page = await this.parts.store.ownLog.changesAfter(version - 1, 1, 1);
    if (this.parts.host.replica.version !== version) return true; // moved on: judged again at the next head
    // Nothing tells any more which history is the wrong one: the state at head is right in any case.
    if (page === 'compacted') this.loadInstead = true;
    const [logged] = page === 'compacted' ? [] : page;
    this.contradicted = logged !== undefined && (logged.version !== version || logged.chain !== chain);
    return !this.contradicted;
  }

  private async pullAll(): Promise<void> {
    while (
      this.lag > 0 &&
      !this.stopped &&
      !this.parts.duties.isLeading() &&
      !this.parts.divergence.isWrongDatabase
    ) {
      const before = this.parts.host.replica.version;
      if (this.loadInstead || this.lag > LIMITS.windowVersions) {
        await this.loading.whole();
        this.loadInstead = false;
      } else await this.pullOrCopy(before);
      this.applyBuffered();
      if (this.parts.host.replica.version === before) {
        await sleep(RETRY_MS);
        if (this.parts.host.replica.version === before) return; // the next head heard tries again
      }
    }
    this.buffered = [];
  }

  /** A node without any state, and no log within reach, starts from another node's state. */
  private async pullOrCopy(after: number): Promise<void> {
    const moved = await this.parts.sources.pull(after, this.lag, (pulled) => this.take(pulled));
    if (!moved && this.parts.host.replica.clusterId === null) await this.loading.fromPeers();
  }

  /** True when the node has moved on. */
  private take(pulled: Pulled): boolean {
    if ('compacted' in pulled) {
      this.loadInstead = true;
      return true;
    }
    const before = this.parts.host.replica.version;
    this.apply(pulled.changes);
    return this.parts.host.replica.version > before;
  }

  /** Changes of another history are not taken; whether this node's own is the wrong one, the database says. */
  private apply(changes: readonly Change[]): ApplyResult {
    // A leader's replica is changed by its own commits alone: one of them may be on its way here through the log.
    if (this.parts.duties.isLeading()) return 'duplicate';
    const result = this.parts.host.apply(changes);
    if (result === 'applied') this.contradicted = false;
    if (result === 'diverged' || result === 'corrupt') {
      this.contradicted ||= result === 'diverged';
      this.parts.logger.warn(
        { result, at: this.parts.host.replica.version },
        'rejected a change that does not continue this history',
      );
      this.parts.divergence.suspect();
    }
    if (this.lag === 0) this.behindSinceMs = undefined;
    return result;
  }

  private applyBuffered(): void {
    const messages = this.buffered;
    this.buffered = [];
    for (const changes of messages) {
      if (this.apply(changes) === 'gap') this.buffered.push(changes);
    }
  }
}
