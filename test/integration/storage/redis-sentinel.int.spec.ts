import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { findProgram, freePort, type RedisServer, startRedis } from '#libs/embedded-servers';
import { CacheUnavailable, RedisCache } from '#libs/redis';

let dir: string;
let master: RedisServer;
let replica: RedisServer;
let sentinel: ChildProcess;
let sentinelPort: number;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-sentinel-'));
  master = await startRedis({ dir: join(dir, 'a') });
  replica = await startRedis({ dir: join(dir, 'b') });
  const password = master.password;
  await asAdmin(replica, async (admin) => {
    await admin.config('SET', 'masterauth', password);
    await admin.config('SET', 'requirepass', password);
    await admin.replicaof(master.host, master.port);
  });
  sentinelPort = await freePort();
  await mkdir(join(dir, 's'));
  const config = join(dir, 's', 'sentinel.conf');
  await writeFile(
    config,
    `port ${sentinelPort}
bind 127.0.0.1
dir ${join(dir, 's')}
sentinel monitor holdfast 127.0.0.1 ${master.port} 1
sentinel auth-pass holdfast ${password}
sentinel down-after-milliseconds holdfast 500
sentinel failover-timeout holdfast 3000
`,
  );
  sentinel = spawn(findProgram('redis-server'), [config, '--sentinel'], { stdio: 'ignore' });
  const probe = new Redis({ port: sentinelPort, maxRetriesPerRequest: null });
  probe.on('error', () => undefined); // it is still starting
  await vi.waitUntil(
    async () =>
      JSON.stringify(await probe.call('SENTINEL', 'REPLICAS', 'holdfast')).includes(String(replica.port)),
    {
      timeout: 20_000,
      interval: 100,
    },
  );
  probe.disconnect();
});

afterAll(async () => {
  sentinel.kill('SIGKILL');
  await Promise.all([master.stop(), replica.stop()]);
  await rm(dir, { recursive: true, force: true });
});

async function asAdmin(server: RedisServer, use: (admin: Redis) => Promise<void>): Promise<void> {
  const admin = new Redis({ host: server.host, port: server.port, password: server.password });
  await use(admin);
  admin.disconnect();
}

it('follows the master that the Sentinels name', async () => {
  const cache = RedisCache.connect({
    macKey: Buffer.from('key'),
    host: 'unused',
    port: 0,
    password: master.password,
    sentinels: [{ host: '127.0.0.1', port: sentinelPort }],
    masterName: 'holdfast',
    connectionName: 'test',
    commandTimeoutMs: 500,
  });
  await vi.waitUntil(() => cache.available, { timeout: 10_000 });
  await cache.setIfNewer('k', { incarnation: 1, seq: 1 }, 'before', 60_000);
  process.kill(master.pid, 'SIGKILL');
  await master.exited;
  await expect(cache.getStamped('k')).rejects.toBeInstanceOf(CacheUnavailable);
  await vi.waitUntil(
    () => cache.setIfNewer('k', { incarnation: 1, seq: 2 }, 'after', 60_000).catch(() => false),
    { timeout: 30_000, interval: 100 },
  );
  expect(await cache.getStamped('k')).toMatchObject({ seq: 2, value: 'after' });
  cache.close();
});
