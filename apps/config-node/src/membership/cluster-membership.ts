import { Problem } from '#libs/contracts';
import { type Clock, FailureLog, type Repeating } from '#libs/kernel';
import { type Bus, BusError } from '#libs/messaging';
import type { EventLoopLag, Logger } from '#libs/observability';
import type { Verification } from '../integrity/verification.js';
import type { Leadership } from '../leadership/leadership.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { Divergence } from '../state-transfer/divergence.js';
import { nextIncarnation } from './incarnation.js';

export type NodeCondition = 'ok' | 'syncing' | 'stale' | 'overloaded' | 'wrong-database' | 'stopping';

export interface MembershipOptions {
  dataDir: string;
  mayLead: boolean;
  metadata: Record<string, string>;
  heartbeatEveryMs: number;
}

const REGISTER_TIMEOUT_MS = 1_000;
const REGISTER_RETRY_MS = 1_000;
/** An event loop that lets work wait longer than this (99th percentile) is overloaded. */
const OVERLOADED_MS = 250;

export interface ClusterMembershipParts {
  options: MembershipOptions;
  host: ReplicaHost;
  leadership: Leadership;
  verification: Verification;
  divergence: Divergence;
  bus: Bus;
  lag: EventLoopLag;
  clock: Clock;
  logger: Logger;
}

/** This node's place in the cluster: registers it, and says again and again that it lives and how it is. */
export class ClusterMembership {
  incarnation = 0;
  address = '';
  private seq = 0;
  /** By the last two heartbeats. */
  overloaded = false;
  /** Before the last heartbeat; how long the event loop kept work waiting. */
  eventLoopP99Ms = 0;
  private wasSlow = false;
  private stopping = false;
  private registered = false;
  private loops: Repeating[] = [];

  constructor(private readonly parts: ClusterMembershipParts) {}

  /** Before anything is said or done under it. */
  async begin(): Promise<void> {
    this.incarnation = await this.nextIncarnation();
  }

  start(address: string): void {
    this.address = address;
    const { heartbeatEveryMs } = this.parts.options;
    const failures = new FailureLog(this.parts.logger, this.parts.clock);
    this.loops = [
      failures.repeat('publishing the heartbeat', () => this.heartbeat(), { everyMs: heartbeatEveryMs }),
      failures.repeat('registering this node', () => this.register(), { everyMs: REGISTER_RETRY_MS }),
    ];
  }

  get condition(): NodeCondition {
    if (this.stopping) return 'stopping';
    if (this.parts.divergence.isWrongDatabase) return 'wrong-database';
    if (this.parts.verification.verified === 'pending') return 'syncing';
    if (this.parts.host.isStale()) return 'stale';
    return this.overloaded ? 'overloaded' : 'ok';
  }

  /** Known to hold a wrong state: it must not lead. */
  get isDamaged(): boolean {
    return this.parts.verification.isDamaged;
  }

  /** Says at once that the node stops; a stop is no departure, so it stays registered. */
  announceStop(): void {
    this.stopping = true;
    this.heartbeat();
  }

  async stop(): Promise<void> {
    for (const loop of this.loops) await loop.stop();
  }

  private heartbeat(): void {
    const { host, leadership } = this.parts;
    const { p99Ms } = this.parts.lag.sample();
    this.eventLoopP99Ms = Number.isFinite(p99Ms) ? Math.round(p99Ms * 10) / 10 : 0;
    const isSlow = p99Ms > OVERLOADED_MS;
    this.overloaded = isSlow && this.wasSlow; // one hiccup is no overload
    this.wasSlow = isSlow;
    this.parts.bus.publish('node.heartbeat', {
      nodeId: host.nodeId,
      incarnation: this.incarnation,
      seq: ++this.seq,
      kind: 'config-node',
      role: leadership.role,
      address: this.address,
      term: leadership.termOfRole,
      clusterId: host.replica.clusterId,
      version: host.replica.version,
      chain: host.replica.chain,
      condition: this.condition,
      fenceConfirmedAgoMs: leadership.fenceConfirmedAgoMs,
      metadata: this.parts.options.metadata,
    });
  }

  private async register(): Promise<void> {
    if (this.registered || this.stopping || !this.parts.bus.connected) return;
    try {
      const reply = await this.parts.bus.request(
        'registry.register',
        {
          nodeId: this.parts.host.nodeId,
          incarnation: this.incarnation,
          kind: 'config-node',
          role: this.parts.options.mayLead ? 'follower' : 'observer',
          address: this.address,
          metadata: this.parts.options.metadata,
        },
        { timeoutMs: REGISTER_TIMEOUT_MS },
      );
      // Refused for its own number: an earlier attempt got through, only its answer was lost.
      this.registered = reply.accepted || reply.exceed === this.incarnation;
      if (!this.registered && !reply.accepted) await this.exceed(reply.exceed);
    } catch (error) {
      if (!(error instanceof BusError || error instanceof Problem)) throw error;
      this.parts.logger.debug({ reason: error.message }, 'not registered yet');
    }
  }

  private nextIncarnation(atLeast = 0): Promise<number> {
    const unkept = (error: Error) =>
      this.parts.logger.warn(
        { reason: error.message },
        'writing the incarnation to disk failed: the node continues without the file',
      );
    return nextIncarnation(this.parts.options.dataDir, this.parts.clock.wallMs(), unkept, atLeast);
  }

  private isLeading(): boolean {
    return this.parts.leadership.role === 'leader';
  }

  /** Takes a greater incarnation than one that is known. False: a term is bound to the present one. */
  async exceed(known: number): Promise<boolean> {
    if (this.isLeading()) return false;
    const incarnation = await this.nextIncarnation(known + 1);
    if (this.isLeading()) return false; // elected meanwhile, under the number that it answered the poll with
    this.incarnation = incarnation;
    this.registered = false;
    this.parts.logger.info(
      { incarnation: this.incarnation, known },
      'moved to a newer incarnation: the registry knew a higher one',
    );
    return true;
  }
}
