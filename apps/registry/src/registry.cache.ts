import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { NodeId, NodeInfo } from '#libs/contracts';
import { RedisCache } from '#libs/redis';

const INDEX = 'holdfast:registry:index';
const keyOf = (nodeId: string) => `holdfast:registry:node:${nodeId}`;
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
  constructor(
    private readonly redis: RedisCache,
    private readonly settings: { ttlMs: number },
  ) {}

  async put(
    members: readonly { node: NodeInfo; beatSeq: number }[],
    allIds: readonly string[],
  ): Promise<void> {
    const { ttlMs } = this.settings;
    const writes = members.map(({ node, beatSeq }) => {
      const seq = node.statusSeq * BEATS_PER_STATUS + Math.min(Math.max(0, beatSeq), BEATS_PER_STATUS - 1);
      return this.redis.setIfNewer(keyOf(node.id), { incarnation: node.incarnation, seq }, node, ttlMs);
    });
    await Promise.all([...writes, this.redis.setJson(INDEX, allIds, ttlMs)]);
  }

  async remove(nodeId: string): Promise<void> {
    await this.redis.delete(keyOf(nodeId));
  }

  async get(nodeId: string): Promise<NodeInfo | undefined> {
    return nodeOf((await this.redis.getStamped(keyOf(nodeId)))?.value);
  }

  async all(): Promise<NodeInfo[]> {
    const ids = Index.safeParse(await this.redis.getJson(INDEX));
    if (!ids.success) return [];
    const stored = await this.redis.getManyStamped(ids.data.map(keyOf));
    return stored.map((entry) => nodeOf(entry?.value)).filter((node) => node !== undefined);
  }
}

function nodeOf(value: unknown): NodeInfo | undefined {
  const result = NodeInfo.safeParse(value);
  return result.success ? result.data : undefined;
}
