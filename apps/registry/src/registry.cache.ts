import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { NodeId, NodeInfo } from '#libs/contracts';
import { RedisCache } from '#libs/redis';

const Index = z.array(NodeId).max(10_000);
/** Heartbeats of one status: more than a service sends in years. */
const BEATS_PER_STATUS = 1_000_000_000;

/**
 * Members in Redis, for a registry that has just started and for whoever may read Redis. Entries live longer than
 * several missed heartbeats; an index names them all, because keys are never scanned. Of two instances that write,
 * the one with the newer status, or else the newer heartbeat, is kept.
 */
@Injectable()
export class RegistryCache {
  /** Clusters that share a bus by their subject prefixes may share Redis as well. */
  private readonly root: string;

  constructor(
    private readonly redis: RedisCache,
    private readonly settings: { ttlMs: number; subjectPrefix?: string },
  ) {
    const { subjectPrefix = '' } = settings;
    this.root = `${subjectPrefix === '' ? '' : `${subjectPrefix}:`}holdfast:registry`;
  }

  async put(
    members: readonly { node: NodeInfo; beatSeq: number }[],
    allIds: readonly string[],
  ): Promise<void> {
    const { ttlMs } = this.settings;
    const writes = members.map(({ node, beatSeq }) => {
      const seq = node.statusSeq * BEATS_PER_STATUS + Math.min(Math.max(0, beatSeq), BEATS_PER_STATUS - 1);
      return this.redis.setIfNewer(this.keyOf(node.id), { incarnation: node.incarnation, seq }, node, ttlMs);
    });
    await Promise.all([...writes, this.redis.setJson(this.index, allIds, ttlMs)]);
  }

  async remove(nodeId: string): Promise<void> {
    await this.redis.delete(this.keyOf(nodeId));
  }

  async get(nodeId: string): Promise<NodeInfo | undefined> {
    return nodeOf((await this.redis.getStamped(this.keyOf(nodeId)))?.value);
  }

  async all(): Promise<NodeInfo[]> {
    const ids = Index.safeParse(await this.redis.getJson(this.index));
    if (!ids.success) return [];
    const stored = await this.redis.getManyStamped(ids.data.map((id) => this.keyOf(id)));
    return stored.map((entry) => nodeOf(entry?.value)).filter((node) => node !== undefined);
  }

  private get index(): string {
    return `${this.root}:index`;
  }

  private keyOf(nodeId: string): string {
    return `${this.root}:node:${nodeId}`;
  }
}

function nodeOf(value: unknown): NodeInfo | undefined {
  const result = NodeInfo.safeParse(value);
  return result.success ? result.data : undefined;
}
