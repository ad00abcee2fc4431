import { Injectable } from '@nestjs/common';
import { Redis } from 'ioredis';
import { NodeInfo } from '#libs/contracts';

const INDEX = 'holdfast:registry:nodes';
const keyOf = (nodeId: string) => `holdfast:registry:node:${nodeId}`;

/**
 * Members in Redis, for a registry that has just started and for whoever may read Redis. Entries live longer than
 * several missed heartbeats; an index names them all, because keys are never scanned.
 */
@Injectable()
export class RegistryCache {
  constructor(
    private readonly redis: Redis,
    private readonly settings: { ttlMs: number },
  ) {}

  async put(nodes: readonly NodeInfo[]): Promise<void> {
    if (nodes.length === 0) return;
    const pipeline = this.redis.pipeline();
    for (const node of nodes) pipeline.set(keyOf(node.id), JSON.stringify(node), 'PX', this.settings.ttlMs);
    pipeline.sadd(INDEX, ...nodes.map((node) => node.id));
    await pipeline.exec();
  }

  async remove(nodeId: string): Promise<void> {
    await this.redis.pipeline().del(keyOf(nodeId)).srem(INDEX, nodeId).exec();
  }

  async get(nodeId: string): Promise<NodeInfo | undefined> {
    return parse(await this.redis.get(keyOf(nodeId)));
  }

  async all(): Promise<NodeInfo[]> {
    const ids = await this.redis.smembers(INDEX);
    if (ids.length === 0) return [];
    const texts = await this.redis.mget(ids.map(keyOf));
    const nodes = texts.map(parse);
    const expired = ids.filter((_, index) => nodes[index] === undefined);
    if (expired.length > 0) await this.redis.srem(INDEX, ...expired);
    return nodes.filter((node) => node !== undefined);
  }
}

function parse(text: string | null): NodeInfo | undefined {
  if (text === null) return undefined;
  const result = NodeInfo.safeParse(JSON.parse(text));
  return result.success ? result.data : undefined;
}
