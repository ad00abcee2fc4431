import {
  type HealthChanged,
  isFarAhead,
  isPlausibleIncarnation,
  type NodeHeartbeat,
  type NodeHold,
  type NodeInfo,
  type NodeVerdict,
} from '#libs/contracts';
import { HealthEvidence } from './health-evidence.js';
import {
  type HeartbeatOutcome,
  introducedMember,
  type Member,
  type MemberRecord,
  type MembershipSettings,
  memberBehind,
  newMember,
  type RegisterOutcome,
  type Registration,
  type StoredEvidence,
  type Transition,
  transitionOf,
} from './member.js';
import type { Ownership } from './member-rights.js';
import { NodeRestrictions } from './node-restrictions.js';
import { judge, type StatusEvidence } from './status.js';

/**
 * Who belongs to the cluster, and how each one is. It applies only what is greater: a registration by incarnation, a
 * heartbeat by (incarnation, seq), a verdict on exactly the incarnation that was judged, health evidence by
 * (incarnation, seq) too, a hold by seq, a status by statusSeq. Told the time and the evidence, it answers with the transitions that follow.
 */
export class MemberTable {
  private readonly members = new Map<string, Member>();
  private readonly checks: HealthEvidence;
  private readonly holds = new NodeRestrictions();
  private headVersion = 0;
  /** Against which lag is counted; found again with every tick. */
  private highestVersion = 0;

  constructor(private readonly settings: MembershipSettings) {
    this.checks = new HealthEvidence(settings.evidenceLifeMs);
  }

  register(request: Registration, at: string, nowMs: number): RegisterOutcome {
    const known = this.members.get(request.nodeId);
    if (known && !known.introduced && request.incarnation <= known.record.incarnation) {
      const heardOfOnly =
        request.incarnation === known.record.incarnation && !known.explicit && !known.record.left;
      if (!heardOfOnly) return { outcome: 'not-newer', exceed: known.record.incarnation };
    }
    if (!known && this.members.size >= this.settings.maxMembers) return { outcome: 'full' };
    const member = this.begin(request, known, at, nowMs);
    member.explicit = true;
    const transition = this.move(member, known);
    return { outcome: 'registered', record: member.record, transition };
  }

  heartbeat(beat: NodeHeartbeat, at: string, nowMs: number): HeartbeatOutcome {
    const known = this.members.get(beat.nodeId);
    const isOther = beat.incarnation !== known?.record.incarnation;
    if (!known || beat.incarnation > known.record.incarnation || (known.introduced && isOther)) {
      return this.adopt(beat, known, at, nowMs);
    }
    if (known.record.left || beat.incarnation < known.record.incarnation || beat.seq <= known.seq) {
      return { outcome: 'stale' };
    }
    if (isFarAhead(known.seq, beat.seq)) {
      return { outcome: 'stale' };
    }
    this.apply(known, beat, at, nowMs);
    return { outcome: 'applied', transition: this.settle(known, nowMs) };
  }

  /** Evidence of the witnesses, on the incarnation that they judged. */
  verdict(verdict: NodeVerdict, nowMs: number): Transition | undefined {
    const member = this.members.get(verdict.nodeId);
    if (!member || member.introduced || member.record.left) return undefined;
    if (verdict.incarnation !== member.record.incarnation) return undefined;
    if (verdict.seq !== undefined && verdict.seq < member.verdictSeq) return undefined;
    if (isFarAhead(member.verdictSeq, verdict.seq ?? 0)) return undefined;
    member.verdictSeq = verdict.seq ?? member.verdictSeq;
    member.guessed = false;
    if (verdict.verdict === 'clear' || verdict.reason === null) {
      member.verdict = undefined;
    } else {
      member.verdict = { verdict: verdict.verdict, reason: verdict.reason };
      member.steadySinceMs = undefined;
      if (verdict.verdict === 'failed') member.recovering = true;
    }
    return this.settle(member, nowMs);
  }

  /** What the checks of a node say, heard anew or again. */
  health(change: HealthChanged, nowMs: number): Transition | undefined {
    if (this.checks.apply(change, nowMs) === 'old') return undefined;
    return this.settleIfKnown(change.nodeId, nowMs);
  }

  /** True when it is news, and to be kept. */
  hold(hold: NodeHold, nowMs: number, wallMs: number): { news: boolean; transition: Transition | undefined } {
    if (this.holds.apply(hold, nowMs, wallMs) === 'old') return { news: false, transition: undefined };
    return { news: true, transition: this.settleIfKnown(hold.nodeId, nowMs) };
  }

  /** Who has been silent too long. Only asked when this process could have heard them (see LocalPauseGuard). */
  tick(nowMs: number): Transition[] {
    const transitions: Transition[] = [];
    this.highestVersion = this.headVersion;
    for (const member of this.members.values()) {
      if (member.record.left || member.introduced) continue;
      this.highestVersion = Math.max(this.highestVersion, member.record.version);
      member.silent = nowMs - member.heardAtMs > this.settings.heartbeatTimeoutMs;
      const transition = this.settle(member, nowMs);
      if (transition) transitions.push(transition);
    }
    return transitions;
  }

  /** After a time in which nothing could be heard everybody gets a full time-out anew. */
  resetHeartbeatDeadlines(nowMs: number): void {
    this.checks.resetDeadlines(nowMs);
    for (const member of this.members.values()) {
      if (!member.silent) member.heardAtMs = Math.max(member.heardAtMs, nowMs);
    }
  }

  deregister(nodeId: string, incarnation: number): 'left' | 'not-newer' | 'unknown' {
    const member = this.members.get(nodeId);
    if (!member || member.introduced || member.record.left) return 'unknown';
    if (incarnation < member.record.incarnation) return 'not-newer';
    member.record = { ...member.record, left: true, incarnation };
    this.checks.forget(nodeId);
    return 'left';
  }

  /**
   * What a cache holds, or what another instance says that it registered: makes an unknown member known, as one that has
   * just come. It replaces nobody, and nothing of it is written until the member itself or the database speaks.
   */
  introduce(record: MemberRecord, nowMs: number, wallMs: number): 'introduced' | 'known' | 'refused' {
    if (this.members.has(record.nodeId)) return 'known';
    const isFull = this.members.size >= this.settings.maxMembers;
    if (isFull || !isPlausibleIncarnation(record.incarnation, wallMs)) return 'refused';
    this.members.set(record.nodeId, introducedMember(record, nowMs));
    return 'introduced';
  }

  /** What the database knows: taken in where it is newer than what is known here. */
  merge(
    record: MemberRecord,
    nowMs: number,
    options: { authoritative: boolean; standing?: StoredEvidence | null },
  ): void {
    const known = this.members.get(record.nodeId);
    const { standing } = options;
    if (standing?.health && (known?.guessed ?? true)) this.checks.apply(standing.health, nowMs);
    if (!record.left) this.highestVersion = Math.max(this.highestVersion, record.version);
    if (!known || known.introduced || record.incarnation > known.record.incarnation) {
      const statusSeq = Math.max(record.statusSeq, known?.record.statusSeq ?? 0);
      this.members.set(record.nodeId, memberBehind({ ...record, statusSeq }, standing, nowMs));
      return;
    }
    if (record.incarnation < known.record.incarnation) {
      known.record = { ...known.record, statusSeq: Math.max(record.statusSeq, known.record.statusSeq) };
      return;
    }
    const { registeredAt, left } = record;
    known.record = { ...known.record, registeredAt, left: known.record.left || left };
    if (standing && known.guessed) {
      known.verdict = standing.verdict ?? undefined;
      known.verdictSeq = Math.max(known.verdictSeq, standing.verdictSeq);
      known.guessed = false;
    }
    this.mergeStatus(record, options);
  }

  /** A status that another instance gave. Of two with the same number the one in the database stands. */
  mergeStatus(
    other: Pick<MemberRecord, 'nodeId' | 'incarnation' | 'status' | 'reason' | 'statusSeq'>,
    options: { authoritative: boolean },
  ): void {
    const known = this.members.get(other.nodeId);
    if (!known || known.record.incarnation !== other.incarnation) return;
    const ahead = other.statusSeq - known.record.statusSeq;
    if (ahead < 0 || (ahead === 0 && !options.authoritative)) return;
    if (!options.authoritative && isFarAhead(known.record.statusSeq, other.statusSeq)) return;
    const { status, reason, statusSeq } = other;
    known.record = { ...known.record, status, reason, statusSeq };
  }

  /** Where the leader says that it stands: the last word counts, so that an absurd one is forgotten. */
  noteHead(version: number): void {
    this.headVersion = version;
    this.highestVersion = Math.max(this.highestVersion, version);
  }

  get(nodeId: string): MemberRecord | undefined {
    const record = this.members.get(nodeId)?.record;
    return record?.left ? undefined : record;
  }

  /** All that the status is judged by, for the record of a transition. */
  evidence(nodeId: string, nowMs: number): Record<string, unknown> {
    const member = this.members.get(nodeId);
    if (!member) return {};
    const { kind: _kind, ...judged } = this.evidenceOn(member, nowMs);
    const { health } = this.standing(nodeId, nowMs);
    const hold = this.holds.get(nodeId);
    return {
      ...judged,
      ...(member.silent ? { silentForMs: Math.round(nowMs - member.heardAtMs) } : {}),
      ...(health ? { health } : {}),
      ...(hold ? { hold } : {}),
    };
  }

  standing(nodeId: string, nowMs: number): StoredEvidence {
    const member = this.members.get(nodeId);
    const incarnation = member?.record.incarnation ?? 0;
    return {
      verdict: member?.verdict ?? null,
      verdictSeq: member?.verdictSeq ?? 0,
      health: this.checks.standing(nodeId, incarnation, nowMs) ?? null,
    };
  }

  ownership(nodeId: string): Ownership {
    const member = this.members.get(nodeId);
    if (member === undefined) return 'nobody';
    return member.byCluster || member.record.kind === 'config-node' ? 'cluster' : 'member';
  }

  ownedByCluster(nodeId: string): void {
    const member = this.members.get(nodeId);
    if (member) member.byCluster = true;
  }

  /** The last heartbeat of its incarnation; -1 before the first. */
  beatSeq(nodeId: string): number {
    return this.members.get(nodeId)?.seq ?? -1;
  }

  records(): MemberRecord[] {
    return [...this.members.values()].map((member) => member.record);
  }

  info(record: MemberRecord): NodeInfo {
    const { nodeId, left: _left, ...rest } = record;
    return { id: nodeId, ...rest, lag: Math.max(0, this.highestVersion - record.version) };
  }

  private adopt(beat: NodeHeartbeat, known: Member | undefined, at: string, nowMs: number): HeartbeatOutcome {
    const kind = beat.kind ?? known?.record.kind;
    if (kind === undefined) return { outcome: 'unknown' };
    if (!known && this.members.size >= this.settings.maxMembers) return { outcome: 'full' };
    const registration: Registration = {
      nodeId: beat.nodeId,
      incarnation: beat.incarnation,
      kind,
      role: beat.role === 'observer' || kind === 'service' ? 'observer' : 'follower',
      address: beat.address ?? known?.record.address ?? null,
      metadata: beat.metadata ?? known?.record.metadata ?? {},
    };
    const member = this.begin(registration, known, at, nowMs);
    this.apply(member, beat, at, nowMs);
    // Even one that says it is well begins as syncing; its next heartbeat makes it healthy.
    return { outcome: 'adopted', transition: this.move(member, known) };
  }

  /** A new incarnation: nothing that was known against the last one counts. */
  private begin(request: Registration, known: Member | undefined, at: string, nowMs: number): Member {
    const member = newMember(request, known, at, nowMs);
    // Before its first heartbeat: syncing at best, and no better than a hold lets it be.
    member.record = { ...member.record, ...judge(this.evidenceOn(member, nowMs)) };
    this.members.set(request.nodeId, member);
    return member;
  }

  private apply(member: Member, beat: NodeHeartbeat, at: string, nowMs: number): void {
    const { record } = member;
    const gapMs = nowMs - member.heardAtMs;
    member.introduced = false;
    member.seq = beat.seq;
    member.heardAtMs = nowMs;
    member.silent = false;
    if (gapMs > this.settings.heartbeatTimeoutMs) member.steadySinceMs = undefined;
    member.steadySinceMs ??= nowMs;
    member.condition = beat.condition ?? 'ok';
    if (!member.verdict && member.condition === 'ok') member.recovering = false;
    const endsWhenSteady = member.verdict?.verdict === 'failed' || member.guessed;
    if (endsWhenSteady && nowMs - member.steadySinceMs >= this.settings.steadyMs) {
      member.verdict = undefined;
      member.guessed = false;
    }
    member.record = {
      ...record,
      role: beat.role ?? record.role,
      address: beat.address ?? record.address,
      version: beat.version ?? record.version,
      term: Math.max(record.term, beat.term ?? 0),
      metadata: beat.metadata ?? record.metadata,
      lastHeartbeatAt: at,
    };
    this.highestVersion = Math.max(this.highestVersion, member.record.version);
  }

  private evidenceOn(member: Member, nowMs: number): StatusEvidence {
    const { condition, verdict, silent, recovering, record } = member;
    const { nodeId, incarnation, kind } = record;
    const checks = this.checks.against(nodeId, incarnation, nowMs);
    return { kind, condition, verdict, silent, recovering, checks, ...this.holds.of(nodeId, nowMs) };
  }

  private settleIfKnown(nodeId: string, nowMs: number): Transition | undefined {
    const member = this.members.get(nodeId);
    return member && !member.introduced && !member.record.left ? this.settle(member, nowMs) : undefined;
  }

  private settle(member: Member, nowMs: number): Transition | undefined {
    const { status, reason } = judge(this.evidenceOn(member, nowMs));
    if (status === member.record.status && reason === member.record.reason) return undefined;
    const from = member.record.status;
    member.record = { ...member.record, status, reason, statusSeq: member.record.statusSeq + 1 };
    return transitionOf(member.record, from);
  }

  private move(member: Member, previous: Member | undefined): Transition {
    const from = previous && !previous.record.left ? previous.record.status : null;
    member.record = { ...member.record, statusSeq: member.record.statusSeq + 1 };
    return transitionOf(member.record, from);
  }
}
