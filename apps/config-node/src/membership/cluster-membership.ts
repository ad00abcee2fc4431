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

  constructor(
    private readonly options: MembershipOptions,
    private readonly host: ReplicaHost,
    private readonly leadership: Leadership,
    private readonly verification: Verification,
    private readonly divergence: Divergence,
    private readonly bus: Bus,
    private readonly lag: EventLoopLag,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Before anything is said or done under it. */
  async begin(): Promise<void> {
    this.incarnation = await this.nextIncarnation();
  }

  start(address: string): void {
    this.address = address;
    const { heartbeatEveryMs } = this.options;
    const failures = new FailureLog(this.logger, this.clock);
    this.loops = [
      failures.repeat('publishing the heartbeat', () => this.heartbeat(), { everyMs: heartbeatEveryMs }),
      failures.repeat('registering this node', () => this.register(), { everyMs: REGISTER_RETRY_MS }),
    ];
  }

  get condition(): NodeCondition {
    if (this.stopping) return 'stopping';
    if (this.divergence.isWrongDatabase) return 'wrong-database';
    if (this.verification.verified === 'pending') return 'syncing';
    if (this.host.isStale()) return 'stale';
    return this.overloaded ? 'overloaded' : 'ok';
  }

  /** Known to hold a wrong state: it must not lead. */
  get isDamaged(): boolean {
    return this.verification.isDamaged;
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
    const { host, leadership } = this;
    const { p99Ms } = this.lag.sample();
    this.eventLoopP99Ms = Number.isFinite(p99Ms) ? Math.round(p99Ms * 10) / 10 : 0;
    const isSlow = p99Ms > OVERLOADED_MS;
    this.overloaded = isSlow && this.wasSlow; // one hiccup is no overload
    this.wasSlow = isSlow;
    this.bus.publish('node.heartbeat', {
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
      metadata: this.options.metadata,
    });
  }

  private async register(): Promise<void> {
    if (this.registered || this.stopping || !this.bus.connected) return;
    try {
      const reply = await this.bus.request(
        'registry.register',
        {
          nodeId: this.host.nodeId,
          incarnation: this.incarnation,
          kind: 'config-node',
          role: this.options.mayLead ? 'follower' : 'observer',
          address: this.address,
          metadata: this.options.metadata,
        },
        { timeoutMs: REGISTER_TIMEOUT_MS },
      );
      // Refused for its own number: an earlier attempt got through, only its answer was lost.
      this.registered = reply.accepted || reply.exceed === this.incarnation;
      if (!this.registered && !reply.accepted) await this.exceed(reply.exceed);
    } catch (error) {
      if (!(error instanceof BusError || error instanceof Problem)) throw error;
      this.logger.debug({ reason: error.message }, 'not registered yet');
    }
  }

  private nextIncarnation(atLeast = 0): Promise<number> {
    const unkept = (error: Error) =>
      this.logger.warn(
        { reason: error.message },
        'writing the incarnation to disk failed: the node goes on without the file',
      );
    return nextIncarnation(this.options.dataDir, this.clock.wallMs(), unkept, atLeast);
  }

  private isLeading(): boolean {
    return this.leadership.role === 'leader';
  }

  /** Takes a greater incarnation than one that is known. False: a term is bound to the present one. */
  async exceed(known: number): Promise<boolean> {
    if (this.isLeading()) return false;
    const incarnation = await this.nextIncarnation(known + 1);
    if (this.isLeading()) return false; // elected meanwhile, under the number that it answered the poll with
    this.incarnation = incarnation;
    this.registered = false;
    this.logger.info(
      { incarnation: this.incarnation, known },
      'moved to a newer incarnation: the registry knew a higher one',
    );
    return true;
  }
}
