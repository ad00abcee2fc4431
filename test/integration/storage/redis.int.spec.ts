import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NodeInfo } from '#libs/contracts';
import { freePort, type RedisServer, startRedis } from '#libs/embedded-servers';
import { CacheUnavailable, RedisCache } from '#libs/redis';
import { RegistryCache } from '../../../apps/registry/src/registry.cache.js';

let dir: string;
let server: RedisServer;
let cache: RedisCache;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-redis-'));
  server = await startRedis({ dir });
  cache = connectTo(server.port);
  await vi.waitUntil(() => cache.available, { timeout: 10_000 });
});
afterAll(async () => {
  cache.close();
  await server.stop();
  await rm(dir, { recursive: true, force: true });
});

function connectTo(port: number, key = 'key'): RedisCache {
  // A busy machine is slower than a cache may be.
  return RedisCache.connect({
    macKey: Buffer.from(key),
    host: '127.0.0.1',
    port,
    password: server.password,
    connectionName: 'test',
    commandTimeoutMs: 1_000,
  });
}

describe('RedisCache', () => {
  it('stores JSON for a time', async () => {
    expect(await cache.getJson('k')).toBeUndefined();
    await cache.setJson('k', { a: [1, 'ü'] }, 10_000);
    expect(await cache.getJson('k')).toEqual({ a: [1, 'ü'] });
    await cache.setJson('brief', 1, 20);
    await expect.poll(() => cache.getJson('brief')).toBeUndefined();
    await cache.delete('k');
    expect(await cache.getJson('k')).toBeUndefined();
  });

  it('stores a stamped value only over an older one', async () => {
    const incarnation = 1_767_225_600_123;
    const set = (i: number, seq: number, value: string) =>
      cache.setIfNewer('node', { incarnation: i, seq }, value, 10_000);
    expect(await set(incarnation, 9, 'first')).toBe(true);
    expect(await set(incarnation, 9, 'same stamp')).toBe(false);
    expect(await set(incarnation, 8, 'older seq')).toBe(false);
    // Compared as numbers, not as text.
    expect(await set(incarnation, 10, 'newer seq')).toBe(true);
    expect(await set(incarnation - 1, 1_000, 'older incarnation')).toBe(false);
    expect(await set(incarnation + 1, 1, 'newer incarnation')).toBe(true);
    expect(await cache.getStamped('node')).toEqual({
      incarnation: incarnation + 1,
      seq: 1,
      value: 'newer incarnation',
    });
    expect(await cache.getManyStamped(['absent', 'node'])).toEqual([
      undefined,
      expect.objectContaining({ value: 'newer incarnation' }),
    ]);
  });

  it('lets one of many writers with one stamp win', async () => {
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) => cache.setIfNewer('race', { incarnation: 1, seq: 1 }, i, 10_000)),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
  });

  it('is created and refuses at once while there is no Redis, and works when it comes', async () => {
    const port = await freePort();
    const away = connectTo(port);
    expect(away.available).toBe(false);
    const started = performance.now();
    await expect(away.getJson('k')).rejects.toBeInstanceOf(CacheUnavailable);
    await expect(away.setJson('k', 1, 1_000)).rejects.toBeInstanceOf(CacheUnavailable);
    expect(performance.now() - started).toBeLessThan(900);
    const late = await startRedis({ dir, port });
    await expect.poll(() => away.available, { timeout: 10_000 }).toBe(true);
    await away.setJson('k', 1, 1_000);
    expect(await away.getJson('k')).toBe(1);
    process.kill(late.pid, 'SIGKILL');
    await late.exited;
    await expect(away.getJson('k')).rejects.toBeInstanceOf(CacheUnavailable);
    away.close();
  });

  it('gives up on a frozen Redis after the command time-out', async () => {
    const impatient = RedisCache.connect({
      macKey: Buffer.from('key'),
      host: '127.0.0.1',
      port: server.port,
      password: server.password,
      connectionName: 'impatient',
    });
    await expect.poll(() => impatient.available).toBe(true);
    process.kill(server.pid, 'SIGSTOP');
    try {
      const started = performance.now();
      await expect(impatient.getJson('k')).rejects.toBeInstanceOf(CacheUnavailable);
      expect(performance.now() - started).toBeLessThan(1_000);
    } finally {
      process.kill(server.pid, 'SIGCONT');
      impatient.close();
    }
  });
});

describe('two clusters on one Redis', () => {
  const node: NodeInfo = {
    id: 'node-1',
    kind: 'config-node',
    role: 'follower',
    status: 'healthy',
    reason: null,
    address: 'http://127.0.0.1:7400',
    incarnation: 1,
    statusSeq: 1,
    version: 1,
    lag: 0,
    term: 1,
    lastHeartbeatAt: null,
    registeredAt: '2026-01-01T00:00:00.000Z',
    metadata: {},
  };

  it('keep apart by their subject prefixes, and do not remove what the other wrote', async () => {
    const other = connectTo(server.port, 'key of the other cluster');
    await vi.waitUntil(() => other.available, { timeout: 10_000 });
    const ours = new RegistryCache(cache, { ttlMs: 10_000, subjectPrefix: 'shop' });
    const theirs = new RegistryCache(other, { ttlMs: 10_000, subjectPrefix: 'bank' });
    await ours.put([{ node, beatSeq: 1 }], [node.id]);
    expect(await theirs.all()).toEqual([]);
    expect(await theirs.get(node.id)).toBeUndefined();
    await theirs.put([{ node: { ...node, version: 2 }, beatSeq: 1 }], [node.id]);
    expect(await ours.all()).toEqual([node]);
    expect(await theirs.all()).toEqual([{ ...node, version: 2 }]);
    other.close();
  });
});
