import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort, type RedisServer, startRedis } from '#libs/embedded-servers';
import { CacheUnavailable, RedisCache } from '#libs/redis';

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

function connectTo(port: number): RedisCache {
  // A busy machine is slower than a cache may be.
  return RedisCache.connect({
    macKey: Buffer.from('key'),
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
