import type { PollReply } from '#libs/contracts';
import { type Clock, crashOnDefect, TimeoutError, withTimeout } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { HeadRow } from '../domain/log.types.js';
import type { StoredHistory } from '../history/stored-history.js';
import type { HeadListener } from '../leadership/head-monitor.js';
import type { Leadership } from '../leadership/leadership.js';
import type { ClusterMembership } from '../membership/cluster-membership.js';
import type { ReplicaHost } from '../replica/replica-host.js';

const WRITE_CHECK_MS = 800;

export interface CandidatePollHandlerParts {
  host: ReplicaHost;
  leadership: Leadership;
  membership: ClusterMembership;
  store: StoredHistory;
  headRead: HeadListener;
  options: { mayLead: boolean; priority: number };
  clock: Clock;
  logger: Logger;
}

/** Answers a failover instance that looks for a leader: may this node lead, and how far is its history? */
export class CandidatePollHandler {
  constructor(private readonly parts: CandidatePollHandlerParts) {}

  async answer(_request: { askedBy: string; term: number; suspect: string | null }): Promise<PollReply> {
    const reason = this.whyNever() ?? (await this.checkWrite());
    if (reason === null) this.parts.leadership.polled();
    const { nodeId, replica, term } = this.parts.host;
    return {
      nodeId,
      incarnation: this.parts.membership.incarnation,
      address: this.parts.membership.address,
      eligible: reason === null,
      reason,
      term,
      version: replica.version,
      chain: replica.chain,
      highestVersion: this.parts.host.highestVersion,
      priority: this.parts.options.priority,
      healthy: reason === null && !this.parts.host.isStale(),
    };
  }

  private whyNever(): string | null {
    if (!this.parts.options.mayLead) return 'observer';
    const { condition } = this.parts.membership;
    if (condition === 'stopping') return 'draining';
    if (condition === 'wrong-database') return 'wrong-database';
    // One whose state is not verified yet may lead: a whole cluster may be starting. One that is damaged must not.
    return this.parts.host.replica.clusterId === null || this.parts.membership.isDamaged ? 'syncing' : null;
  }

  /** A write of its own to the database, now: a node that can't write must not lead. */
  private async checkWrite(): Promise<string | null> {
    const versionAtAsking = this.parts.host.replica.version;
    const askedAtMs = this.parts.clock.monotonicMs();
    let head: HeadRow;
    try {
      head = await withTimeout(this.parts.store.barrier(), WRITE_CHECK_MS, 'a write check');
    } catch (error) {
      crashOnDefect(error);
      if (!(error instanceof TimeoutError)) this.parts.logger.debug({ error }, 'the write check failed');
      return 'storage-unavailable';
    }
    await this.parts.headRead(head, versionAtAsking, askedAtMs);
    return this.whyNever();
  }
}
