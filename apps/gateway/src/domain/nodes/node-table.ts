import {
  isFarAhead,
  type NodeInfo,
  type NodeRole,
  type NodeStatus,
  type NodeVerdict,
  type StatusReason,
} from '#libs/contracts';
import { Candidate, weightIn } from './candidate.js';
import { NODE_RANKS, rankOf, type Standing } from './node-rank.js';
import { blankRecord, type NodeRecord } from './node-record.js';

export type { NodeRecord } from './node-record.js';

/** A node and where it can be asked. */
export interface NodeAt {
  id: string;
  address: string;
}

/** What a heartbeat or a probe tells of a node itself. */
export interface NodeNews {
  nodeId: string;
  incarnation: number;
  role?: NodeRole | undefined;
  address?: string | undefined;
  term?: number | undefined;
  version?: number | undefined;
}

/** How long the registry may take to act on evidence before its word counts as newer than the evidence. */
const REGISTRY_SETTLES_MS = 2_000;
/** The registry is silent when it has not spoken for this long; it is asked every few seconds. */
const REGISTRY_SILENT_MS = 12_000;

/**
 * What this gateway knows of the nodes, and in which order it would ask them.
 *
 * The registry is the one writer of status; a status carries (incarnation, statusSeq) and only a greater one is
 * applied. Evidence that needs no registry (`node.failed`, a connection that broke here) can only take a node out
 * of the rotation: it goes back in when the registry has spoken since. The order never empties the set: a node
 * that was taken out is still asked when there is no better one.
 */
export class NodeTable {
  private readonly nodes = new Map<string, NodeRecord>();
  private standingsCache: readonly (readonly [Candidate, Standing])[] | undefined;
  private tiersCache: readonly (readonly Candidate[])[] | undefined;
  private registrySpokeAtMs: number | null = null;

  constructor(seeds: readonly NodeAt[]) {
    for (const { id, address } of seeds) {
      const record = this.recordOf(id);
      record.address = address;
      record.seed = true;
    }
  }

  get(id: string): NodeRecord | undefined {
    return this.nodes.get(id);
  }

  all(): NodeRecord[] {
    return [...this.nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  byAddress(address: string): NodeRecord | undefined {
    for (const node of this.nodes.values()) if (node.address === address) return node;
    return undefined;
  }

  /** A leader may be known by its address alone, before anybody has told of the node. */
  candidateAt(address: string | undefined): Candidate | undefined {
    return address === undefined ? undefined : (this.byAddress(address)?.candidate ?? undefined);
  }

  registrySilent(nowMs: number): boolean {
    return this.registrySpokeAtMs === null || nowMs - this.registrySpokeAtMs > REGISTRY_SILENT_MS;
  }

  /** The registry's whole list. Who was registered and is no longer in it has left. */
  listed(infos: readonly NodeInfo[], nowMs: number): void {
    this.registrySpokeAtMs = nowMs;
    const present = new Set(infos.map((info) => info.id));
    for (const node of [...this.nodes.values()]) {
      if (!node.registered || present.has(node.id)) continue;
      if (node.seed) node.registered = false;
      else this.nodes.delete(node.id);
    }
    for (const info of infos) this.registered(info, nowMs);
    this.changed();
  }

  registered(info: NodeInfo, nowMs: number): void {
    if (info.kind !== 'config-node') return;
    this.registrySpokeAtMs = nowMs;
    const node = this.recordOf(info.id);
    node.registered = true;
    if (info.incarnation < node.incarnation) return;
    node.metadata = info.metadata;
    node.weightFault = weightIn(info.metadata).fault;
    if (info.address !== null) node.address = info.address;
    if (info.incarnation > node.incarnation || node.role === null) node.role = info.role;
    node.version = Math.max(node.version, info.version);
    node.term = Math.max(node.term, info.term);
    node.lastHeartbeatAt ??= info.lastHeartbeatAt;
    this.applyStatus(node, info, info.status, info.reason, nowMs);
    this.changed();
  }

  statusChanged(
    change: {
      nodeId: string;
      incarnation: number;
      statusSeq: number;
      to: NodeStatus;
      reason: StatusReason | null;
    },
    nowMs: number,
  ): void {
    this.registrySpokeAtMs = nowMs;
    const node = this.nodes.get(change.nodeId);
    if (node === undefined) return; // a service, or a node whose registration is still on its way
    this.applyStatus(node, change, change.to, change.reason, nowMs);
    this.changed();
  }

  /**
   * Failover's verdict takes a node out; its withdrawal puts it back only while the registry speaks. False = old news:
   * of an earlier incarnation, or one that was followed by another.
   */
  judged(verdict: Pick<NodeVerdict, 'nodeId' | 'incarnation' | 'verdict' | 'seq'>, nowMs: number): boolean {
    const node = this.nodes.get(verdict.nodeId);
    if (node === undefined || verdict.incarnation < node.incarnation) return false;
    if (verdict.seq !== undefined && verdict.seq < node.verdictSeq) return false;
    if (isFarAhead(node.verdictSeq, verdict.seq ?? 0)) return false;
    node.verdictSeq = verdict.seq ?? node.verdictSeq;
    if (verdict.verdict === 'failed') node.judged = { incarnation: verdict.incarnation, atMs: nowMs };
    else if (verdict.verdict === 'clear' && !this.registrySilent(nowMs)) node.judged = null;
    this.changed();
    return true;
  }

  deregistered(nodeId: string, incarnation: number): void {
    const node = this.nodes.get(nodeId);
    if (node === undefined || incarnation < node.incarnation) return;
    if (node.seed) {
      node.registered = false;
      node.status = null;
    } else {
      this.nodes.delete(nodeId);
    }
    this.changed();
  }

  /** Applies what is newer within the incarnation; a newer incarnation is a fresh start. False = old news. */
  heartbeat(beat: NodeNews & { seq: number; kind?: NodeInfo['kind'] | undefined }, at: string): boolean {
    if (beat.kind === 'service' || (beat.kind === undefined && !this.nodes.has(beat.nodeId))) return false;
    const node = this.recordOf(beat.nodeId);
    if (beat.incarnation < node.incarnation) return false;
    if (beat.incarnation === node.incarnation && beat.seq <= node.heartbeatSeq) return false;
    if (beat.incarnation === node.incarnation && isFarAhead(node.heartbeatSeq, beat.seq)) return false;
    this.becomes(node, beat.incarnation);
    node.heartbeatSeq = beat.seq;
    node.lastHeartbeatAt = at;
    this.applyNews(node, beat);
    return true;
  }

  /** A probe from here was answered. */
  probed(news: NodeNews, nowMs: number): void {
    const node = this.recordOf(news.nodeId);
    if (news.incarnation >= node.incarnation) {
      this.becomes(node, news.incarnation);
      this.applyNews(node, news);
    }
    this.answered(node.id, nowMs);
  }

  /** A request from here was answered: it can be reached. Whether it is taken back, the registry decides. */
  answered(id: string, nowMs: number): void {
    const node = this.nodes.get(id);
    if (node === undefined || (node.answers === true && node.brokenAtMs === null)) return;
    node.answers = true;
    if (!this.registrySilent(nowMs)) node.brokenAtMs = null;
    this.changed();
  }

  /** A connection from here was refused or reset, or a probe went unanswered. */
  broke(id: string, nowMs: number): void {
    const node = this.nodes.get(id);
    if (node === undefined) return;
    const news = node.brokenAtMs === null || node.answers !== false;
    node.brokenAtMs = nowMs;
    node.answers = false;
    if (news) this.changed();
  }

  /** Every node that can be asked, in order of their ids. Another list than the last time = something changed. */
  standings(): readonly (readonly [Candidate, Standing])[] {
    this.standingsCache ??= this.all().flatMap((node): [Candidate, Standing][] => {
      if (node.address === null) return [];
      if (node.candidate === null) {
        node.candidate = new Candidate(node.id, node.address);
        node.candidate.version = node.version;
      }
      node.candidate.address = node.address;
      node.candidate.weight = weightIn(node.metadata).weight;
      return [[node.candidate, rankOf(node)]];
    });
    return this.standingsCache;
  }

  /** Nodes by preference, best tier first; empty only while no node's address is known. */
  tiers(): readonly (readonly Candidate[])[] {
    this.tiersCache ??= inTiers(this.standings());
    return this.tiersCache;
  }

  private applyStatus(
    node: NodeRecord,
    at: { incarnation: number; statusSeq: number },
    status: NodeStatus,
    reason: StatusReason | null,
    nowMs: number,
  ): void {
    if (at.incarnation < node.incarnation) return;
    this.becomes(node, at.incarnation);
    if (at.statusSeq < node.statusSeq || isFarAhead(node.statusSeq, at.statusSeq)) return;
    const newer = at.statusSeq > node.statusSeq || node.status === null;
    if (newer && status === 'healthy' && node.candidate !== null) node.candidate.confirmedHealthy = true;
    node.statusSeq = at.statusSeq;
    node.status = status;
    node.reason = reason;
    // The same word again counts as an answer to the verdict only once the registry has had time to act on it.
    if (node.judged !== null && (newer || nowMs - node.judged.atMs >= REGISTRY_SETTLES_MS))
      node.judged = null;
    if (node.brokenAtMs !== null && node.answers === true) node.brokenAtMs = null;
  }

  private applyNews(node: NodeRecord, news: NodeNews): void {
    const moved = news.address !== undefined && news.address !== node.address;
    if (news.address !== undefined) node.address = news.address;
    if (news.role !== undefined) node.role = news.role;
    node.term = Math.max(node.term, news.term ?? 0);
    node.version = news.version ?? node.version;
    if (node.candidate !== null) node.candidate.version = node.version;
    if (moved) this.changed();
  }

  /** What was known of an earlier incarnation says nothing of this one, but for being unreachable from here. */
  private becomes(node: NodeRecord, incarnation: number): void {
    if (incarnation <= node.incarnation) return;
    node.incarnation = incarnation;
    if (node.candidate !== null) node.candidate.confirmedHealthy = true;
    node.heartbeatSeq = -1;
    node.status = null;
    node.reason = null;
    if (node.judged !== null && node.judged.incarnation < incarnation) node.judged = null;
    this.changed();
  }

  private recordOf(id: string): NodeRecord {
    let node = this.nodes.get(id);
    if (node === undefined) {
      node = blankRecord(id);
      this.nodes.set(id, node);
    }
    return node;
  }

  private changed(): void {
    this.standingsCache = undefined;
    this.tiersCache = undefined;
  }
}

export function inTiers(standings: readonly (readonly [Candidate, Standing])[]): Candidate[][] {
  return NODE_RANKS.map((wanted) =>
    standings.filter(([, standing]) => standing === wanted).map(([candidate]) => candidate),
  ).filter((tier) => tier.length > 0);
}
