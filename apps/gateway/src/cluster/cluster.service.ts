import { Injectable } from '@nestjs/common';
import {
  type GetNodeReply,
  type HandoverReply,
  type HealthReport,
  Problem,
  type ReplyPayload,
} from '#libs/contracts';
import { Bus, BusError } from '#libs/messaging';
import { type NodeHealth, type NodeView, nodeHealth, nodeView } from '../domain/nodes/cluster-view.js';
import { NodeDirectory } from '../nodes/node-directory.js';
import { OperatorCommands } from './operator-commands.js';
import { unavailable } from './unavailable.js';

const REGISTRY_TIMEOUT_MS = 1_000;
/** Health results are an addition to the answer: they are not worth a long wait. */
const HEALTH_TIMEOUT_MS = 300;
const ELECTIONS_TIMEOUT_MS = 2_000;
const LAST_ELECTION_TIMEOUT_MS = 300;
const HANDOVER_TIMEOUT_MS = 5_000;

interface RegisteredNode extends NodeView {
  transitions: GetNodeReply['transitions'];
  health: NodeHealth | null;
}

export interface ClusterView {
  clusterId: string | null;
  term: number;
  leaderId: string | null;
  version: number;
  electedAt: string | null;
  nodes: NodeView[];
}

export type NodeDetail = RegisteredNode & Awaited<ReturnType<OperatorCommands['shown']>>;

/** The cluster as this gateway knows it, and what it asks others for. */
@Injectable()
export class ClusterService {
  private askedForTerm = 0;

  constructor(
    private readonly directory: NodeDirectory,
    private readonly bus: Bus,
    private readonly operator: OperatorCommands,
  ) {}

  async view(): Promise<ClusterView> {
    const { directory } = this;
    if (directory.termBeganAt === undefined) await this.learnWhenTermBegan();
    const { leader } = directory;
    return {
      clusterId: directory.clusterId,
      term: leader.term,
      leaderId: leader.id,
      version: directory.headVersion,
      electedAt: directory.termBeganAt ?? null,
      nodes: directory.table.all().map((node) => nodeView(node, leader, directory.headVersion)),
    };
  }

  /** The registry knows the transitions, failover the rest; without them the node is shown as it is seen from here. */
  async node(id: string): Promise<NodeDetail> {
    const [node, shown] = await Promise.all([this.registeredNode(id), this.operator.shown(id)]);
    return { ...node, ...shown };
  }

  private async registeredNode(id: string): Promise<RegisteredNode> {
    const known = this.directory.table.get(id);
    const [reply, report] = await Promise.all([this.askRegistry(id), this.askHealth(id)]);
    const health = report === undefined ? null : nodeHealth(report);
    const node = reply?.node ?? known;
    if (node === undefined) throw new Problem('node-not-found', `there is no node '${id}'`);
    const seen = known ?? this.directory.table.get(id);
    if (seen !== undefined) {
      const view = nodeView(seen, this.directory.leader, this.directory.headVersion);
      return { ...view, transitions: reply?.transitions ?? [], health };
    }
    if (reply === undefined) throw new Problem('node-not-found', `there is no node '${id}'`);
    const { role, status, reason, address, version, lag, lastHeartbeatAt, incarnation, metadata } =
      reply.node;
    const { transitions } = reply;
    return {
      id,
      role,
      status,
      reason,
      address,
      version,
      lag,
      lastHeartbeatAt,
      incarnation,
      metadata,
      transitions,
      health,
    };
  }

  async handover(to: string | undefined): Promise<HandoverReply> {
    const request = to === undefined ? {} : { to };
    try {
      return await this.bus.request('failover.handover', request, { timeoutMs: HANDOVER_TIMEOUT_MS });
    } catch (error) {
      throw unavailable(error, 'the failover service', 'outcome-unknown');
    }
  }

  async elections(limit: number): Promise<ReplyPayload<'failover.elections'>> {
    try {
      return await this.bus.request('failover.elections', { limit }, { timeoutMs: ELECTIONS_TIMEOUT_MS });
    } catch (error) {
      throw unavailable(error, 'the failover service', 'no-available-node');
    }
  }

  private async askRegistry(id: string): Promise<GetNodeReply | undefined> {
    try {
      return await this.bus.request('registry.get', { nodeId: id }, { timeoutMs: REGISTRY_TIMEOUT_MS });
    } catch (error) {
      if (error instanceof BusError) return undefined;
      if (error instanceof Problem && error.code === 'node-not-found') return undefined;
      if (error instanceof Problem && error.code === 'invalid-request') return undefined; // no node has such an id
      throw error;
    }
  }

  private async askHealth(nodeId: string): Promise<HealthReport | undefined> {
    try {
      return await this.bus.request('health.report', { nodeId }, { timeoutMs: HEALTH_TIMEOUT_MS });
    } catch (error) {
      if (error instanceof BusError || error instanceof Problem) return undefined;
      throw error;
    }
  }

  /** Once for each term: a gateway that started after the election did not hear of it. */
  private async learnWhenTermBegan(): Promise<void> {
    const { term } = this.directory.leader;
    if (term === this.askedForTerm || term === 0) return;
    this.askedForTerm = term;
    try {
      const request = { limit: 1 };
      const { elections } = await this.bus.request('failover.elections', request, {
        timeoutMs: LAST_ELECTION_TIMEOUT_MS,
      });
      const [last] = elections;
      if (last !== undefined) this.directory.electedEarlier(last.term, last.electedAt);
    } catch (error) {
      this.askedForTerm = 0;
      if (!(error instanceof BusError) && !(error instanceof Problem)) throw error;
    }
  }
}
