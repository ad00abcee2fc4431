import type { NodeRole } from '#libs/contracts';
import { type Clock, crashOnDefect, sleep } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { Publisher } from '../commit/publisher.js';
import type { StepDownReason } from '../domain/commit/committer.types.js';
import { decideLeadership, type LeadershipDecision } from '../domain/leadership-decision.js';
import type { Fence, HeadRow, HeadState } from '../domain/log.types.js';
import type { PeerTable } from '../peers/peer-table.js';
import type { ReplicaHost } from '../replica/replica-host.js';

export interface LeadershipOptions {
  nodeId: string;
  mayLead: boolean;
  maxLostTail: number;
}

/** What leadership asks of the rest of the node. */
export interface LeadershipDuties {
  incarnation(): number;
  /** Where other processes reach this node. */
  address(): string;
  /** Brings the replica to where head stands, straight from the log; false when that did not succeed. */
  catchUp(head: HeadRow): Promise<boolean>;
  /** The highest version up to `limit` that any node that can be reached ever held; bounded in time. */
  highestVersionElsewhere(limit: number, previousLeaderId: string | null): Promise<number>;
  readHead(): Promise<HeadRow>;
  /** This node began or ended a term. */
  termBegan(term: number): void;
  termEnded(term: number, why: StepDownReason): void;
}

const CANDIDATE_SHOWN_MS = 1_000;
/** Head is read again this soon while the replica is not there yet, or an earlier batch is still to be resolved. */
const TAKE_AGAIN_MS = 5;

export interface LeadershipParts {
  options: LeadershipOptions;
  host: ReplicaHost;
  peers: PeerTable;
  publisher: Publisher;
  duties: LeadershipDuties;
  clock: Clock;
  logger: Logger;
}

/** Who leads, as far as this node knows, and whether that is itself. Head decides; everything else is a hint. */
export class Leadership {
  private known: { id: string; term: number } | null = null;
  /** Who led before the leader that is known. */
  private previousId: string | null = null;
  private ownTerm: number | undefined;
  private confirmedAtMs: number | undefined;
  private candidateUntilMs = Number.NEGATIVE_INFINITY;
  private taking: Promise<void> | undefined;
  private stopping = false;

  constructor(private readonly parts: LeadershipParts) {}

  get role(): NodeRole {
    if (!this.parts.options.mayLead) return 'observer';
    if (this.parts.publisher.isLeading) return 'leader';
    return this.parts.clock.monotonicMs() < this.candidateUntilMs ? 'candidate' : 'follower';
  }

  /** `term` is the one that this leader was heard of in: a higher one may be known already. */
  get leader(): { id: string; address: string; term: number } | null {
    if (this.known === null) return null;
    const isSelf = this.known.id === this.parts.options.nodeId;
    const address = isSelf ? this.parts.duties.address() : this.parts.peers.addressOf(this.known.id);
    return address === null ? null : { id: this.known.id, address, term: this.known.term };
  }

  get leaderId(): string | null {
    return this.known?.id ?? null;
  }

  /** Highest term known. */
  get term(): number {
    return this.parts.host.term;
  }

  /** The term that goes with the role: a leader that does not know yet that it was deposed leads its own, not a higher one that it heard of. */
  get termOfRole(): number {
    return this.parts.publisher.isLeading ? (this.ownTerm ?? this.parts.host.term) : this.parts.host.term;
  }

  /** How long ago the database proved that this node may write; null when it does not lead. */
  get fenceConfirmedAgoMs(): number | null {
    if (!this.parts.publisher.isLeading || this.confirmedAtMs === undefined) return null;
    return Math.max(0, this.parts.clock.monotonicMs() - this.confirmedAtMs);
  }

  /** News that somebody leads a term. True when it is worth reading head for. */
  noteLeader(term: number, leaderId: string): boolean {
    if (term < this.parts.host.term) return this.known?.id !== leaderId; // late, or deposed and not aware of it
    const isNews = term > this.parts.host.term || this.known?.id !== leaderId;
    if (!this.parts.host.noteTerm(term)) return true;
    this.learn(leaderId, term);
    return isNews;
  }

  private learn(id: string, term: number): void {
    if (this.known !== null && this.known.id !== id) this.previousId = this.known.id;
    this.known = { id, term };
  }

  /** Somebody knows of a term. True when it is worth reading head for. */
  heardTerm(term: number): boolean {
    const isNews = term > this.parts.host.term;
    this.parts.host.noteTerm(term);
    return isNews;
  }

  /** A failover instance asked whether this node could lead. */
  polled(): void {
    this.candidateUntilMs = this.parts.clock.monotonicMs() + CANDIDATE_SHOWN_MS;
  }

  fenceConfirmed(sentAtMs: number): void {
    this.confirmedAtMs = sentAtMs;
  }

  /** Takes note of head as the database has it, and begins or ends this node's term accordingly. */
  headRead(head: HeadRow): void {
    this.parts.host.noteHeadTerm(head.term);
    this.parts.peers.noteHead(head.version);
    if (head.leaderId !== null) this.learn(head.leaderId, head.term);
    switch (this.officeFor(head)) {
      case 'leave':
        this.parts.publisher.stepDown('deposed');
        break;
      case 'take':
        this.taking ??= this.assume(head).finally(() => {
          this.taking = undefined;
        });
        break;
    }
  }

  steppedDown(why: StepDownReason, head: HeadState | undefined): void {
    const term = this.ownTerm ?? 0;
    this.ownTerm = undefined;
    this.confirmedAtMs = undefined;
    this.candidateUntilMs = Number.NEGATIVE_INFINITY;
    if (head?.leaderId) this.known = { id: head.leaderId, term: head.term };
    if (this.known?.id === this.parts.options.nodeId) this.known = null;
    if (head !== undefined) this.parts.host.noteHeadTerm(head.term);
    this.parts.logger.warn({ why, term, leader: this.known?.id ?? null }, 'stepped down');
    this.parts.duties.termEnded(term, why);
  }

  /** Leads no more, and does not begin again. */
  async resign(): Promise<void> {
    this.stopping = true;
    await this.taking;
    this.parts.publisher.stepDown('stopping');
  }

  private officeFor(head: Pick<HeadRow, 'term' | 'leaderId' | 'incarnation'>): LeadershipDecision {
    const { nodeId } = this.parts.options;
    const mayLead = this.parts.options.mayLead && !this.stopping;
    return decideLeadership({
      head,
      self: { nodeId, incarnation: this.parts.duties.incarnation(), mayLead },
      ownTerm: this.parts.publisher.isLeading ? this.ownTerm : undefined,
      highestTerm: this.parts.host.term,
    });
  }

  /**
   * Head names this node. It leads as soon as its history is head's, and not before; and when it has heard how far any
   * history went, so that no version is given twice.
   */
  private async assume(head: HeadRow): Promise<void> {
    const limit = head.version + this.parts.options.maxLostTail;
    const asked = this.parts.duties.highestVersionElsewhere(limit, this.previousId);
    try {
      for (let seen = head; this.officeFor(seen) === 'take'; seen = await this.parts.duties.readHead()) {
        if (this.parts.host.isDistrusted) return; // its state is being replaced: the next read of head tries again
        const { version, chain } = this.parts.host.replica;
        if (this.parts.publisher.isIdle && seen.version === version && seen.chain === chain) {
          const elsewhere = await asked;
          if (!this.mayBegin(seen)) continue;
          this.begin(seen, elsewhere);
          return;
        }
        if (!(await this.parts.duties.catchUp(seen))) return;
        await sleep(TAKE_AGAIN_MS);
      }
    } catch (error) {
      crashOnDefect(error);
      this.parts.logger.warn({ error }, 'assuming leadership failed: the next read of head tries again');
    }
  }

  /** Still, after something was waited for. */
  private mayBegin(head: HeadRow): boolean {
    const { version, chain } = this.parts.host.replica;
    const isLevel = head.version === version && head.chain === chain;
    return (
      isLevel &&
      this.parts.publisher.isIdle &&
      !this.parts.host.isDistrusted &&
      this.officeFor(head) === 'take'
    );
  }

  private begin(head: HeadRow, elsewhere: number): void {
    const { term, version, chain, attempt } = head;
    const fence: Fence = {
      term,
      leaderId: this.parts.options.nodeId,
      incarnation: this.parts.duties.incarnation(),
      attempt,
      version,
      chain,
    };
    const heard = this.parts.peers.highestVersionUpTo(version + this.parts.options.maxLostTail);
    const highest = Math.max(heard, elsewhere, this.parts.host.highestVersion);
    const lostTo = highest > version && highest - version <= this.parts.options.maxLostTail ? highest : null;
    this.ownTerm = term;
    this.confirmedAtMs = this.parts.clock.monotonicMs();
    this.known = { id: this.parts.options.nodeId, term };
    this.parts.logger.info({ term, version, lostTo }, 'leading');
    this.parts.publisher.lead(fence, lostTo);
    this.parts.duties.termBegan(term);
  }
}
