import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { GetNodeReply, NodeInfo, RegisterReply } from '#libs/contracts';
import { type NatsServer, type RedisServer, startNats, startRedis } from '#libs/embedded-servers';
import { type RunningService, startService } from '#libs/service';
import { signing } from '#libs/testing';
import { registryApp } from '../../apps/registry/src/registry.app.js';
import { loadRegistrySettings } from '../../apps/registry/src/registry.config.js';
import { openMigratedLab, type StorageLab } from './storage/storage-lab.js';

let home: string;
let nats: NatsServer;
let redis: RedisServer;
let lab: StorageLab;
let admin: Client;
let bare: NatsConnection;
let next = 0;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-registry-'));
  [nats, redis, lab] = await Promise.all([
    startNats({ dir: join(home, 'nats') }),
    startRedis({ dir: join(home, 'redis') }),
    openMigratedLab(),
  ]);
  admin = await lab.client();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(async () => {
  await Promise.all([nats.stop(), redis.stop(), lab.close()]);
  await rm(home, { recursive: true, force: true });
});

async function startRegistry(
  instanceId = 'registry-1',
  change: Record<string, string> = {},
): Promise<RunningService> {
  const env = {
    HOLDFAST_INSTANCE_ID: instanceId,
    HOLDFAST_PORT: '0',
    HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${lab.server.port}`,
    HOLDFAST_POSTGRES_DATABASE: lab.server.database,
    HOLDFAST_POSTGRES_PASSWORD: 'registry-pass',
    HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
    HOLDFAST_NATS_USER: nats.user,
    HOLDFAST_NATS_PASSWORD: nats.password,
    HOLDFAST_REDIS_PORT: String(redis.port),
    HOLDFAST_REDIS_PASSWORD: redis.password,
    HOLDFAST_CLUSTER_KEY: 'a-secret-of-the-cluster',
    HOLDFAST_LOG_LEVEL: 'error',
    ...change,
  };
  const settings = loadRegistrySettings({ argv: [], env, readFile: () => '' });
  const service = await startService(registryApp(settings));
  closers.push(() => service.stop());
  bare ??= await connectBare();
  await until(async () => (await ask('registry.list', {})) !== undefined);
  return service;
}

async function connectBare(): Promise<NatsConnection> {
  const options = { servers: `127.0.0.1:${nats.port}`, user: nats.user, pass: nats.password };
  return signing(await connect(options), 'a-secret-of-the-cluster');
}

/** As a script in any language would: JSON out, JSON in. */
async function ask<T>(subject: string, body: unknown): Promise<T> {
  const reply = await bare.request(subject, JSON.stringify(body), { timeout: 2_000 });
  return reply.json<T>();
}
const register = (body: object) => ask<RegisterReply>('registry.register', body);
const node = async (nodeId: string) => (await ask<GetNodeReply>('registry.get', { nodeId })).node;
const beat = (body: object) => bare.publish('node.heartbeat', JSON.stringify(body));

async function until(done: () => Promise<boolean> | boolean, withinMs = 8_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const is = await Promise.resolve(done()).catch(() => false);
    if (is) return;
    if (performance.now() > deadline) throw new Error('it did not come about in time');
    await wait(10);
  }
}

/** Sends a heartbeat every 100 ms until stopped. */
function beating(body: { nodeId: string; incarnation: number }): () => void {
  let seq = 0;
  const timer = setInterval(() => beat({ ...body, seq: ++seq }), 100);
  return () => clearInterval(timer);
}

const newId = () => `member-${++next}`;

describe('a registry', () => {
  it('takes in any service that speaks JSON over NATS, and tells the world', async () => {
    await startRegistry();
    const nodeId = newId();
    const facts: string[] = [];
    const spy = bare.subscribe('node.*', {
      callback: (_error, message) => {
        const { to, reason } = message.json<{ to?: string; reason?: string | null }>();
        if (message.subject !== 'node.heartbeat')
          facts.push(to ? `${message.subject} ${to} ${reason}` : message.subject);
      },
    });
    const reply = await register({ nodeId, incarnation: 5, metadata: { zone: 'a' } });
    expect(reply).toMatchObject({
      accepted: true,
      node: { id: nodeId, status: 'degraded', reason: 'syncing' },
    });
    beat({ nodeId, incarnation: 5, seq: 0 });
    await until(async () => (await node(nodeId)).status === 'healthy');
    const { nodes } = await ask<{ nodes: NodeInfo[] }>('registry.list', { status: 'healthy' });
    expect(nodes.map((each) => each.id)).toContain(nodeId);
    await until(() => facts.length === 3);
    expect(facts).toEqual(['node.registered', 'node.status degraded syncing', 'node.status healthy null']);
    spy.unsubscribe();
    const moves = async () => {
      const { transitions } = await ask<GetNodeReply>('registry.get', { nodeId });
      return transitions.map(({ statusSeq, to }) => `${statusSeq} ${to}`);
    };
    await until(async () => (await moves()).length === 2);
    expect(await moves()).toEqual(['2 healthy', '1 degraded']);
  });

  it('refuses an incarnation that is not newer, and an unknown node, by name', async () => {
    await startRegistry();
    const nodeId = newId();
    await register({ nodeId, incarnation: 5 });
    expect(await register({ nodeId, incarnation: 5 })).toEqual({ accepted: false, exceed: 5 });
    expect(await register({ nodeId, incarnation: 6 })).toMatchObject({ accepted: true });
    expect(await ask('registry.get', { nodeId: 'nobody' })).toMatchObject({
      code: 'node-not-found',
      status: 404,
    });
    expect(await ask('registry.register', { nodeId: 'x y' })).toMatchObject({ code: 'invalid-request' });
  });

  it('drops malformed and stale heartbeats, and counts them', async () => {
    const service = await startRegistry();
    const nodeId = newId();
    await register({ nodeId, incarnation: 5 });
    beat({ nodeId, incarnation: 5, seq: 9, version: 7 });
    beat({ nodeId, incarnation: 5, seq: 9, version: 8 });
    beat({ nodeId, incarnation: 4, seq: 99, version: 9 });
    bare.publish('node.heartbeat', '{"nodeId":');
    beat({ nodeId, incarnation: 5, seq: -1 });
    await until(async () => (await node(nodeId)).version === 7);
    const metrics = await (await fetch(`http://127.0.0.1:${service.port}/metrics`)).text();
    expect(metrics).toMatch(/holdfast_registry_heartbeats_total\{.*outcome="stale".*\} 2/);
    expect(metrics).toMatch(/holdfast_bus_messages\{.*outcome="invalid".*\} 2/);
  });

  it('writes heartbeats in batches, and keeps cache entries beyond several missed ones', async () => {
    await startRegistry();
    const nodeId = newId();
    await register({ nodeId, incarnation: 5 });
    const stop = beating({ nodeId, incarnation: 5 });
    closers.push(async () => stop());
    const cache = new Redis({ port: redis.port, password: redis.password });
    closers.push(async () => cache.disconnect());
    await until(async () => (await cache.pttl(`holdfast:registry:node:${nodeId}`)) > 0);
    expect(await cache.pttl(`holdfast:registry:node:${nodeId}`)).toBeGreaterThan(1_500);
    const writes = async () => {
      const { rows } = await admin.query(
        "select n_tup_upd::int as updates from pg_stat_user_tables where schemaname = 'registry' and relname = 'nodes'",
      );
      return Number(rows[0]?.updates);
    };
    await wait(1_500);
    const before = await writes();
    await wait(3_000);
    expect((await writes()) - before).toBeLessThanOrEqual(6);
    const { rows } = await admin.query('select last_heartbeat_at from registry.nodes where node_id = $1', [
      nodeId,
    ]);
    expect(Date.now() - rows[0].last_heartbeat_at.getTime()).toBeLessThan(3_000);
  });

  it('judges silence, but not while it cannot hear', async () => {
    await startRegistry();
    const nodeId = newId();
    await register({ nodeId, incarnation: 5 });
    const stop = beating({ nodeId, incarnation: 5 });
    await until(async () => (await node(nodeId)).status === 'healthy');
    nats.kill('SIGSTOP');
    await wait(2_500);
    nats.kill('SIGCONT');
    await wait(300);
    const { transitions } = await ask<GetNodeReply>('registry.get', { nodeId });
    expect(transitions.map(({ to }) => to)).toEqual(['healthy', 'degraded']);
    stop();
    await until(async () => (await node(nodeId)).status === 'failed');
    expect(await node(nodeId)).toMatchObject({ reason: 'unresponsive' });
  });

  it('applies verdicts to the incarnation that was judged', async () => {
    await startRegistry();
    const nodeId = newId();
    await register({
      nodeId,
      incarnation: 5,
      kind: 'config-node',
      role: 'follower',
      address: 'http://127.0.0.1:1',
    });
    beat({ nodeId, incarnation: 5, seq: 1, condition: 'ok' });
    const verdict = {
      nodeId,
      verdict: 'failed',
      reason: 'process-down',
      judgedBy: 'failover-1',
      confirmedBy: [],
      evidence: {},
      at: '',
    };
    bare.publish('node.failed', JSON.stringify({ ...verdict, incarnation: 4 }));
    await wait(50);
    expect(await node(nodeId)).toMatchObject({ status: 'healthy' });
    bare.publish('node.failed', JSON.stringify({ ...verdict, incarnation: 5 }));
    await until(async () => (await node(nodeId)).status === 'failed');
  });

  it('remembers over a restart, and publishes what was not published', async () => {
    const first = await startRegistry();
    const nodeId = newId();
    await register({ nodeId, incarnation: 5 });
    beat({ nodeId, incarnation: 5, seq: 1 });
    await until(async () => (await node(nodeId)).status === 'healthy');
    await first.stop();
    await admin.query('update registry.facts set published = false where id = $1', [
      `node.status/${nodeId}/2`,
    ]);
    const heard: string[] = [];
    const spy = bare.subscribe('node.status', {
      callback: (_error, message) => void heard.push(message.headers?.get('ce-id') ?? ''),
    });
    await bare.flush();
    closers.length = 0;
    await startRegistry();
    expect(await register({ nodeId, incarnation: 5 })).toEqual({ accepted: false, exceed: 5 });
    await until(() => heard.includes(`node.status/${nodeId}/2`));
    spy.unsubscribe();
    await until(async () => (await register({ nodeId, incarnation: 6 })).accepted);
    expect((await node(nodeId)).statusSeq).toBeGreaterThan(2);
  });

  it('is one of several: what one takes in the other knows, and only one moves a status', async () => {
    await startRegistry('registry-1');
    await startRegistry('registry-2');
    const nodeId = newId();
    await register({ nodeId, incarnation: 5 });
    const stop = beating({ nodeId, incarnation: 5 });
    for (let i = 0; i < 10; i++) {
      await until(async () => (await node(nodeId)).status === 'healthy');
      expect(await register({ nodeId, incarnation: 5 })).toEqual({ accepted: false, exceed: 5 });
    }
    stop();
    await until(async () => (await node(nodeId)).status === 'failed');
    await wait(300);
    const { transitions } = await ask<GetNodeReply>('registry.get', { nodeId });
    expect(transitions.map(({ to }) => to)).toEqual(['failed', 'healthy', 'degraded']);
  });

  it('takes leave of a member for good', async () => {
    await startRegistry();
    const nodeId = newId();
    await register({ nodeId, incarnation: 5 });
    expect(await ask('registry.deregister', { nodeId, incarnation: 5 })).toEqual({});
    expect(await ask('registry.get', { nodeId })).toMatchObject({ code: 'node-not-found' });
    expect(await register({ nodeId, incarnation: 5 })).toEqual({ accepted: false, exceed: 5 });
    expect(await register({ nodeId, incarnation: 6 })).toMatchObject({ accepted: true });
  });
});

describe('without its stores', () => {
  it('goes on without Redis', async () => {
    await startRegistry('registry-1', { HOLDFAST_REDIS_PORT: '1' });
    const nodeId = newId();
    expect(await register({ nodeId, incarnation: 5 })).toMatchObject({ accepted: true });
    beat({ nodeId, incarnation: 5, seq: 1 });
    await until(async () => (await node(nodeId)).status === 'healthy');
  });

  it('goes on without Postgres, from memory and cache', async () => {
    await startRegistry('registry-1', { HOLDFAST_POSTGRES_HOSTS: '127.0.0.1:1' });
    const nodeId = newId();
    const heard: string[] = [];
    const spy = bare.subscribe('node.status', {
      callback: (_error, message) => void heard.push(message.json<{ nodeId: string; to: string }>().to),
    });
    expect(await register({ nodeId, incarnation: 5 })).toMatchObject({ accepted: true });
    beat({ nodeId, incarnation: 5, seq: 1 });
    await until(async () => (await node(nodeId)).status === 'healthy');
    await until(() => heard.includes('healthy'));
    spy.unsubscribe();
  });
});

describe('finding 5: what somebody else wrote into Redis', () => {
  /** Who there is, and what the member is. That it was late once or twice on a busy machine, its statusSeq, is its own. */
  const answers = async (nodeId: string) => {
    const { nodes } = await ask<{ nodes: NodeInfo[] }>('registry.list', {});
    const { lastHeartbeatAt: _at, lag: _lag, statusSeq: _seq, ...member } = await node(nodeId);
    return { ids: nodes.map(({ id }) => id), member };
  };
  const rows = async () =>
    (await admin.query('select node_id, incarnation, address from registry.nodes order by node_id')).rows;

  it('changes no answer and no row, in whatever key', async () => {
    let running = await startRegistry();
    const cache = new Redis({ port: redis.port, password: redis.password });
    closers.push(async () => cache.disconnect());
    const nodeId = newId();
    await register({ nodeId, incarnation: 5, kind: 'config-node', address: 'http://127.0.0.1:1' });
    const stop = beating({ nodeId, incarnation: 5 });
    closers.push(async () => stop());
    const key = `holdfast:registry:node:${nodeId}`;
    await until(async () => (await node(nodeId)).status === 'healthy' && (await cache.exists(key)) === 1);
    const before = { answers: await answers(nodeId), rows: await rows() };
    const real = (await cache.get(key)) ?? '';
    const impostor = { ...(await node(nodeId)), incarnation: 2 ** 47, address: 'http://127.0.0.1:666' };
    const ghost = { ...impostor, id: 'ghost' };
    const garbage: [string, (key: string) => Promise<unknown>][] = [
      ['an entry without a MAC', (k) => cache.set(k, `${2 ** 47}:1:${JSON.stringify(impostor)}`)],
      ['a MAC of other content', (k) => cache.set(k, real.replace(/:\{.*/s, `:${JSON.stringify(impostor)}`))],
      ['an entry of another key', (k) => cache.set(k, k === key ? real.replace(/^5:/, '9:') : real)],
      ['bytes', (k) => cache.set(k, Buffer.from([0, 255, 1, 254]))],
      ['nothing', (k) => cache.set(k, '')],
      ['another type', (k) => cache.del(k).then(() => cache.rpush(k, 'a'))],
      ['an index without a MAC', (k) => cache.set(k, JSON.stringify(['ghost', nodeId]))],
    ];
    for (const [what, forge] of garbage) {
      for (const each of [key, 'holdfast:registry:node:ghost', 'holdfast:registry:index']) await forge(each);
      await cache.set('holdfast:registry:node:ghost', `${2 ** 47}:1:${JSON.stringify(ghost)}`);
      // A registry that has just started knows nothing better than what it finds.
      const started = await startRegistry('registry-2');
      await running.stop();
      running = started;
      await until(async () => (await answers(nodeId)).member.status === 'healthy');
      expect({ what, answers: await answers(nodeId), rows: await rows() }).toEqual({ what, ...before });
      expect((await ask<{ status: number }>('registry.get', { nodeId: 'ghost' })).status).toBe(404);
    }
  });
});
