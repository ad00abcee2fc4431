import { type EventPayload, isPlausibleTerm, type NodeInfo, type NodePing } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import type { Candidate } from '../domain/nodes/candidate.js';
import { type LeaderReport, LeaderView } from '../domain/nodes/leader-view.js';
import { type NodeAt, NodeTable } from '../domain/nodes/node-table.js';
import type { LeaderTarget } from '../domain/writes/write-parking.types.js';

export interface DirectoryEvents {
  /** The leader as it is known now; also told when the known one was heard leading again. */
  leader?: (target: LeaderTarget | null) => void;
  /** Something here casts doubt on a node or on who leads: whoever can look, should. */
  doubt?: (address: string | undefined) => void;
  /** A node gives no sign of life: nothing that was asked there will be answered. */
  out?: (address: string) => void;
  /** A node's metadata has a weight that cannot be one; told once. */
  badWeight?: (nodeId: string, weight: string) => void;
}

/** A leader that the database confirmed longer ago than this may have been replaced unheard. */
const CONFIRMED_WITHIN_MS = 3_000;

/** Everything this gateway has heard of nodes and their leader, from whatever side, in one place. */
export class NodeDirectory {
  readonly table: NodeTable;
  private readonly view = new LeaderView();
  private readonly listeners: DirectoryEvents[] = [];
  private leaderStands = { term: 0, version: 0 };
  private anyoneStands = 0;
  /** The highest term whose leader has shown that the database let it lead. */
  private confirmedTerm = 0;
  private electedAt: { term: number; at: string } | undefined;
  private cluster: string | null = null;
  private readonly badWeights = new Map<string, string>();
  private busSpokeAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    seeds: readonly NodeAt[],
    private readonly clock: Clock,
  ) {
    this.table = new NodeTable(seeds);
  }

  on(events: DirectoryEvents): void {
    this.listeners.push(events);
  }

  get target(): LeaderTarget | null {
    return this.view.target;
  }

  get leader() {
    return this.view.leader;
  }

  /** Whether the present leader has shown in this term that the database lets it write. */
  get leaderConfirmed(): boolean {
    return this.view.target !== null && this.confirmedTerm === this.view.leader.term;
  }

  /** Whether any leader has shown that since this gateway started. */
  get leaderWasConfirmed(): boolean {
    return this.confirmedTerm > 0;
  }

  /** The end of the log: what the leader said last; until one was heard, the highest that any node said. */
  get headVersion(): number {
    return this.leaderStands.term > 0 ? this.leaderStands.version : this.anyoneStands;
  }

  /** As which the leader is asked; undefined while nobody leads, as far as is known. */
  get leaderCandidate(): Candidate | undefined {
    const { target, leader } = this.view;
    if (target === null) return undefined;
    const byId = leader.id === null ? undefined : this.table.get(leader.id)?.candidate;
    return byId ?? this.table.candidateAt(target.address);
  }

  get clusterId(): string | null {
    return this.cluster;
  }

  /** When the present term began; undefined until somebody said so. */
  get termBeganAt(): string | undefined {
    return this.electedAt?.term === this.view.leader.term ? this.electedAt.at : undefined;
  }

  /** How long ago the bus last brought news of a node: every living node speaks twice a second. */
  busSilentForMs(): number {
    return this.clock.monotonicMs() - this.busSpokeAtMs;
  }

  registrySilent(): boolean {
    return this.table.registrySilent(this.clock.monotonicMs());
  }

  tiers(): readonly (readonly NodeAt[])[] {
    return this.table.tiers();
  }

  // ---- news from the bus ---------------------------------------------------------------------------------------

  listed(nodes: readonly NodeInfo[]): void {
    this.table.listed(nodes, this.clock.monotonicMs());
    for (const node of nodes) {
      this.nodeStands(node.id, node.role, node.term, node.version, node.address);
      this.judgeWeight(node.id);
    }
  }

  registered(node: NodeInfo): void {
    this.table.registered(node, this.clock.monotonicMs());
    if (node.address !== null) this.addressKnown(node.id, node.address);
    this.judgeWeight(node.id);
  }

  heartbeat(beat: EventPayload<'node.heartbeat'>): void {
    this.busSpokeAtMs = this.clock.monotonicMs();
    if (!this.believes(beat.term ?? 0)) return;
    if (!this.table.heartbeat(beat, new Date(this.clock.wallMs()).toISOString())) return;
    this.nodeStands(beat.nodeId, beat.role, beat.term ?? 0, beat.version ?? 0, beat.address ?? null);
  }

  statusChanged(change: EventPayload<'node.status'>): void {
    this.table.statusChanged(change, this.clock.monotonicMs());
  }

  judged(verdict: EventPayload<'node.failed'>): void {
    // A verdict is published again from its row: it may be of a process that ended long ago, or withdrawn since.
    const isNews = this.table.judged(verdict, this.clock.monotonicMs());
    if (verdict.verdict !== 'failed' || !isNews) return;
    const { leader } = this.view;
    if (leader.id === verdict.nodeId) this.leaderLost(leader.term);
    const address = this.table.get(verdict.nodeId)?.address;
    if (address) for (const listener of this.listeners) listener.out?.(address);
  }

  deregistered(nodeId: string, incarnation: number): void {
    this.table.deregistered(nodeId, incarnation);
    this.badWeights.delete(nodeId);
  }

  elected(election: EventPayload<'leader.elected'>): void {
    if (!this.believes(election.term)) return;
    if (this.electedAt === undefined || election.term > this.electedAt.term) {
      this.electedAt = { term: election.term, at: election.at };
    }
    this.leaderSaid(election.term, election.version);
    this.learn({
      term: election.term,
      id: election.leaderId,
      address: election.leaderAddress,
      elected: true,
    });
  }

  lost(news: EventPayload<'leader.lost'>): void {
    this.leaderLost(news.term);
  }

  head(head: EventPayload<'sync.head'>): void {
    this.busSpokeAtMs = this.clock.monotonicMs();
    if (!this.believes(head.term)) return;
    this.leaderSaid(head.term, head.version);
    this.leaderConfirmedAt(head.term, head.confirmedAgoMs);
    this.leads(head.leaderId, head.term, this.table.get(head.leaderId)?.address ?? null);
  }

  // ---- news from probes and answers ----------------------------------------------------------------------------

  /** A node answered a question that was asked at `askedAtMs`. */
  probed(ping: NodePing, address: string, askedAtMs: number): void {
    this.table.probed({ ...ping, address }, this.clock.monotonicMs());
    if (ping.clusterId) this.cluster ??= ping.clusterId;
    const isOurs = !ping.clusterId || ping.clusterId === this.cluster;
    if (isOurs && ping.role === 'leader') this.leaderConfirmedAt(ping.term, ping.fenceConfirmedAgoMs);
    if (ping.clusterId && ping.clusterId === this.cluster) this.confirmed(ping, address, askedAtMs);
    this.nodeStands(ping.nodeId, ping.role, ping.term, ping.version, address);
  }

  /** A node refused a write and named who leads. */
  redirected(term: number, leaderAddress: string): void {
    this.learn({ term, id: this.table.byAddress(leaderAddress)?.id ?? null, address: leaderAddress });
  }

  /** An answer carried a term. It names no leader; when it is news, somebody should be asked who leads. */
  heardTerm(term: number): void {
    if (term > this.view.leader.term) this.doubt(undefined);
  }

  answered(address: string): void {
    const node = this.table.byAddress(address);
    if (node !== undefined) this.table.answered(node.id, this.clock.monotonicMs());
  }

  /** A connection from here was refused, or reset in use: the latter may be no more than a moment's trouble. */
  broke(address: string, how: 'refused' | 'reset'): void {
    if (how === 'refused') this.unanswered(address);
    else {
      const node = this.table.byAddress(address);
      if (node !== undefined) this.table.broke(node.id, this.clock.monotonicMs());
    }
    this.doubt(address);
  }

  /** A probe was not answered. */
  unanswered(address: string): void {
    const node = this.table.byAddress(address);
    if (node === undefined) return;
    this.table.broke(node.id, this.clock.monotonicMs());
    for (const listener of this.listeners) listener.out?.(address);
  }

  doubt(address: string | undefined): void {
    for (const listener of this.listeners) listener.doubt?.(address);
  }

  electedEarlier(term: number, at: string): void {
    if (this.electedAt === undefined || term > this.electedAt.term) this.electedAt = { term, at };
  }

  /** The leader acknowledged a write: the history stands there, whether or not the bus has said so yet. */
  committed(term: number, version: number): void {
    this.leaderSaid(term, version);
  }

  /** A term that is far beyond the known one is only a hint to ask the nodes themselves. */
  private believes(term: number): boolean {
    const known = this.view.leader.term;
    if (known === 0 || isPlausibleTerm(term, known)) return true;
    this.doubt(undefined);
    return false;
  }

  private judgeWeight(id: string): void {
    const fault = this.table.get(id)?.weightFault ?? null;
    if (fault === null) this.badWeights.delete(id);
    else if (this.badWeights.get(id) !== fault) {
      this.badWeights.set(id, fault);
      for (const listener of this.listeners) listener.badWeight?.(id, fault);
    }
  }

  private nodeStands(
    id: string,
    role: string | undefined,
    term: number,
    version: number,
    address: string | null,
  ): void {
    this.anyoneStands = Math.max(this.anyoneStands, version);
    if (role === 'leader') this.leaderSaid(term, version);
    if (role === 'leader') this.leads(id, term, address ?? this.table.get(id)?.address ?? null);
    else if (address !== null) this.addressKnown(id, address);
  }

  /** A node was heard leading, just now. */
  private leads(id: string, term: number, address: string | null): void {
    if (term < this.view.leader.term) return;
    const wasLost = this.view.target === null;
    this.view.leads(term);
    if (!this.learn({ term, id, address }) && (wasLost || this.view.target !== null)) this.tellLeader();
  }

  private addressKnown(id: string, address: string): void {
    const { leader } = this.view;
    if (leader.id === id && leader.address === null) this.learn({ term: leader.term, id, address });
  }

  private learn(news: LeaderReport): boolean {
    if (news.term === 0) return false;
    const withAddress =
      news.id && !news.address ? { ...news, address: this.table.get(news.id)?.address ?? null } : news;
    if (this.view.merge(withAddress, this.clock.monotonicMs()) === 'none') return false;
    this.tellLeader();
    return true;
  }

  /** A leader said how long ago the database confirmed that it leads. */
  private leaderConfirmedAt(term: number, agoMs: number | null | undefined): void {
    if (typeof agoMs !== 'number' || agoMs > CONFIRMED_WITHIN_MS) return;
    this.confirmedTerm = Math.max(this.confirmedTerm, term);
  }

  /** The answer came after the question, and so did what the node calls so and so long ago: at the earliest, then. */
  private confirmed(ping: NodePing, address: string, askedAtMs: number): void {
    const { nodeId: id, role, term, fenceConfirmedAgoMs } = ping;
    if (role !== 'leader' || fenceConfirmedAgoMs === null) return;
    if (!this.view.confirmed({ term, id, address }, askedAtMs - fenceConfirmedAgoMs)) return;
    this.leaderStands = { term, version: ping.version };
    this.electedAt = undefined;
    this.tellLeader();
  }

  private leaderLost(term: number): void {
    if (term < this.view.leader.term) return;
    this.view.lost(term);
    this.tellLeader();
    this.doubt(undefined);
  }

  private tellLeader(): void {
    const { target } = this.view;
    for (const listener of this.listeners) listener.leader?.(target);
  }

  /** Versions rise within a term; a new term may begin lower when the database lost its latest changes. */
  private leaderSaid(term: number, version: number): void {
    const { leaderStands } = this;
    if (term > leaderStands.term || (term === leaderStands.term && version > leaderStands.version)) {
      this.leaderStands = { term, version };
    }
  }
}
