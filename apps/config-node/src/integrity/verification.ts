import type { DigestReply, Verified } from '#libs/contracts';
import { type Clock, crashOnDefect, withTimeout } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import { DIGEST_FORMAT } from '#libs/replica';
import type { Alerts } from '../announce/alerts.js';
import type { HeadRow } from '../domain/log.types.js';
import { type Comparison, compareDigests, nextStep, type OwnDigest } from '../domain/verification.js';
import type { PeerClient } from '../peers/peer-client.js';
import type { PeerTable } from '../peers/peer-table.js';
import { backOff } from '../replica/backoff.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { ReloadResult } from '../state-transfer/state-reload.js';
import type { DigestMetrics } from './digest.metrics.js';

/** What verification asks of the rest of the node. */
export interface VerificationDuties {
  leaderId(): string | null;
  /** Versions behind the highest head heard of. */
  lag(): number;
  readHead(): Promise<HeadRow>;
  /** Has the state proved right or replaced by the database; without one by the node at `from`, which has another. */
  reload(from: string | null): Promise<ReloadResult>;
}

/** A node is level when it is within this many versions of the head. */
const LEVEL_LAG = 50;
const ASK_EVERY_MS = 100;
const UNAVAILABLE_RETRY_MS = 1_000;
const GIVEN_UP_ASK_EVERY_MS = 5_000;
const HEAD_TIMEOUT_MS = 1_000;
/** The other may be a few changes behind. */
const PEER_WAIT_MS = 100;
/** Asked at once: the leader, and those that hold most. */
const MAX_ASKED = 5;

export interface VerificationParts {
  host: ReplicaHost;
  peers: PeerTable;
  client: PeerClient;
  duties: VerificationDuties;
  alerts: Alerts;
  metrics: DigestMetrics;
  clock: Clock;
  logger: Logger;
}

/**
 * Sees to it that a node counts as healthy only when its state was found right: after every load of a whole state, by
 * comparing digests with other nodes, or by the chain alone when nobody can be asked.
 */
export class Verification {
  private state: Verified = 'pending';
  private damaged = false;
  /** Of the damage that is being dealt with. */
  private told = false;
  private levelSinceMs: number | undefined;
  private reloads = 0;
  private running: Promise<void> | undefined;
  private readonly aborted = new AbortController();

  constructor(private readonly parts: VerificationParts) {}

  get verified(): Verified {
    return this.state;
  }

  /** Known to hold another state than its history makes, and not yet loaded anew: it must not lead. */
  get isDamaged(): boolean {
    return this.damaged;
  }

  start(): void {
    this.parts.host.onReset(() => this.begin());
    this.begin();
  }

  async stop(): Promise<void> {
    this.aborted.abort();
    await this.running;
  }

  /** A whole state was loaded: what was found out about the one before says nothing about it. */
  private begin(): void {
    this.state = 'pending';
    this.damaged = false;
    this.levelSinceMs = undefined;
    this.keepRunning();
  }

  private keepRunning(): void {
    this.running ??= this.run().finally(() => {
      this.running = undefined;
      // Loaded again in the very moment in which the state before was verified.
      if (this.state === 'pending' && !this.aborted.signal.aborted) this.keepRunning();
    });
  }

  private async run(): Promise<void> {
    const { signal } = this.aborted;
    while (this.state === 'pending' && !signal.aborted) {
      let restMs = UNAVAILABLE_RETRY_MS;
      try {
        restMs = await this.round();
      } catch (error) {
        crashOnDefect(error);
        this.parts.logger.warn({ error }, 'verifying the state failed: it is tried again');
      }
      if (this.state === 'pending') await backOff(restMs, signal);
    }
  }

  /** Returns how long to rest before the next one. */
  private async round(): Promise<number> {
    if (!this.damaged && !this.isLevel()) {
      this.levelSinceMs = undefined;
      return ASK_EVERY_MS;
    }
    const nowMs = this.parts.clock.monotonicMs();
    this.levelSinceMs ??= nowMs;
    const own: OwnDigest = { format: DIGEST_FORMAT, ...this.parts.host.replica.digest };
    const answers = await this.ask(own.version);
    if (!this.stillHas(own)) return 0;
    const comparison = compareDigests(own, answers, this.parts.duties.leaderId());
    this.parts.metrics.comparisons.inc({ outcome: comparison.outcome });
    return this.act(own, comparison, nowMs - this.levelSinceMs);
  }

  private async act(own: OwnDigest, comparison: Comparison, levelForMs: number): Promise<number> {
    const { damaged, reloads } = this;
    switch (nextStep({ outcome: comparison.outcome, levelForMs, damaged, reloads })) {
      case 'trust-peer':
        if (damaged) this.parts.host.trust();
        this.trust('by-peer', {
          version: own.version,
          ...(comparison.outcome === 'equal' && { peer: comparison.peer.nodeId }),
        });
        return 0;
      case 'trust-chain':
        if (await this.isHeadsChain())
          this.trust('by-chain', { version: own.version, reason: 'nobody can be compared with' });
        return ASK_EVERY_MS;
      case 'reload':
        return this.reload(own, comparison);
      case 'give-up':
        return GIVEN_UP_ASK_EVERY_MS;
      case 'ask-again':
        return ASK_EVERY_MS;
    }
  }

  /** The leader first, of the others those that hold most; whoever does not answer in time does not count. */
  private async ask(version: number): Promise<DigestReply[]> {
    const leaderId = this.parts.duties.leaderId();
    const others = this.parts.peers.others();
    const chosen = others
      .toSorted((a, b) => Number(b.id === leaderId) - Number(a.id === leaderId))
      .slice(0, MAX_ASKED);
    const answers = await Promise.allSettled(
      chosen.map(({ address }) => this.parts.client.digest(address, version, PEER_WAIT_MS)),
    );
    return answers.flatMap((answer) => {
      if (answer.status === 'fulfilled') return [answer.value];
      this.parts.logger.debug({ reason: String(answer.reason), version }, 'a node told no digest');
      return [];
    });
  }

  private isLevel(): boolean {
    const { host } = this.parts;
    return host.replica.clusterId !== null && !host.isStale() && this.parts.duties.lag() <= LEVEL_LAG;
  }

  /** Neither a load nor an earlier version's loss came between. */
  private stillHas(own: OwnDigest): boolean {
    const point = this.parts.host.replica.digestAt(own.version);
    return typeof point === 'object' && point.chain === own.chain && point.hash === own.hash;
  }

  /** What this node has applied is what the database's head tells of. */
  private async isHeadsChain(): Promise<boolean> {
    const { host } = this.parts;
    const head = await withTimeout(this.parts.duties.readHead(), HEAD_TIMEOUT_MS, 'reading the head');
    if (head.clusterId !== host.replica.clusterId) return false;
    const reached = await host.waitForHead(head, HEAD_TIMEOUT_MS);
    return reached && host.replica.chainAt(head.version) === head.chain;
  }

  private async reload(own: OwnDigest, comparison: Comparison): Promise<number> {
    const peer = comparison.outcome === 'unknown' ? undefined : comparison.peer;
    if (!this.damaged) {
      this.damaged = true;
      const other = peer && { nodeId: peer.nodeId, verified: peer.verified, hash: peer.hash };
      this.parts.logger.error({ own, other }, 'two nodes hold different states after the same changes');
    }
    const result = await this.parts.duties.reload(peer ? this.parts.peers.addressOf(peer.nodeId) : null);
    if (result !== 'was-right' && !this.told) {
      this.told = true;
      const what = `its state at version ${own.version} is not that of ${peer?.nodeId ?? 'another node'}`;
      const then = result === 'replaced' ? 'it was replaced' : 'no right one can be had yet';
      this.parts.alerts.critical('replica.damaged', `${what}: ${then}`);
    }
    if (result === 'unavailable') {
      this.parts.logger.error(
        'replacing the damaged state failed: neither the database nor another node gave a correct one',
      );
      return UNAVAILABLE_RETRY_MS;
    }
    this.reloads += 1;
    if (result === 'was-right') this.wasRight(own.version, peer);
    return 0;
  }

  private wasRight(version: number, peer: DigestReply | undefined): void {
    if (peer !== undefined) {
      const { nodeId } = peer;
      this.parts.logger.error(
        { version, peer: nodeId },
        'the database has the state of this node: the other node is damaged',
      );
      this.parts.alerts.critical(
        'replica.damaged',
        `its state at version ${version} is not the database's`,
        nodeId,
      );
    }
    this.trust('by-chain', { version, reason: 'the database has the same state' });
  }

  private trust(how: Verified, found: { version: number; peer?: string; reason?: string }): void {
    this.state = how;
    this.damaged = false;
    this.told = false;
    this.reloads = 0;
    this.parts.logger.info({ verified: how, ...found }, 'verified the state');
  }
}
