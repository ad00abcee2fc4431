import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConsistencyCheckReply, ConsistencyReport, SyncReport } from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { Bus } from '#libs/messaging';
import { until } from '#libs/testing';
import { FakeCluster, FakeNode } from './fake-node.js';
import { ask, type RunningGateway, startGateway } from './running-gateway.js';

const CHECK: ConsistencyCheckReply = {
  ...{ version: 7, chain: 'c'.repeat(64), tookMs: 3, consistent: true, found: [], repairs: [] },
  nodes: [{ nodeId: 'node-1', result: 'match', reason: null }],
};
const REPORT: ConsistencyReport = {
  nodes: [],
  open: [],
  rounds: [],
  repairs: [],
  discarded: [],
  truth: null,
};

let home: string;
let nats: NatsServer;
let bus: Bus;
let node: FakeNode;
let gateway: RunningGateway;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-gateway-'));
  nats = await startNats({ dir: join(home, 'nats') });
  const { user, password } = nats;
  const logger = pino({ level: 'silent' });
  bus = Bus.connect({
    clusterKey: 'k'.repeat(32),
    servers: [`127.0.0.1:${nats.port}`],
    user,
    password,
    name: 'test',
    logger,
  });
  node = new FakeNode('node-1', new FakeCluster());
  await node.start();
  gateway = await startGateway([node], {
    HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
    HOLDFAST_NATS_USER: user,
    HOLDFAST_NATS_PASSWORD: password,
  });
  await until('the bus', async () => JSON.parse((await get('/health')).text).checks.nats.ok, 5_000);
});
afterAll(async () => {
  await gateway.stop();
  await node.kill();
  await bus.close();
  await nats.stop();
  await rm(home, { recursive: true, force: true });
});

const get = (path: string) => ask(gateway.base, 'GET', path);
const post = (body: string, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
  ask(gateway.base, 'POST', '/v1/consistency/check', { body, headers });

describe('/v1/consistency', () => {
  it('says so when nobody compares', async () => {
    expect((await get('/v1/consistency')).status).toBe(503);
    expect((await post('{}')).status).toBe(503);
  });

  it('asks the consistency service, and repairs only when told to', async () => {
    const asked: unknown[] = [];
    const stops = [
      bus.handle('consistency.report', () => REPORT),
      bus.handle('consistency.check', (request) => {
        asked.push(request);
        return CHECK;
      }),
    ];
    expect(await bus.subscribed()).toBe(true);
    expect(JSON.parse((await get('/v1/consistency')).text)).toEqual(REPORT);
    expect(JSON.parse((await post('{}')).text)).toEqual(CHECK);
    await post('{"repair": true}');
    expect(asked).toEqual([{ repair: false }, { repair: true }]);
    expect((await post('{"repair": "yes"}')).status).toBe(422);
    expect((await post('{"fix": true}')).status).toBe(422);
    expect((await post('{}', { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await get('/v1/consistency?x=1')).status).toBe(400);
    for (const stop of stops) stop();
  });
});

describe('/v1/sync', () => {
  it('says so when nobody knows, and shows what the sync service knows', async () => {
    expect((await get('/v1/sync')).status).toBe(503);
    const node = {
      nodeId: 'node-1',
      incarnation: 1,
      version: 7,
      lagVersions: 3,
      lagMs: 1_200,
      batchChanges: 250,
    };
    const seen = { observer: 'sync-1', seenAt: '2026-01-01T00:00:00.000Z' };
    const report: SyncReport = {
      ...{ head: 10, instances: ['sync-1'] },
      nodes: [{ ...node, state: 'behind', by: 'log', ...seen }],
    };
    const stop = bus.handle('sync.report', () => report);
    expect(await bus.subscribed()).toBe(true);
    expect(JSON.parse((await get('/v1/sync')).text)).toEqual(report);
    expect((await get('/v1/sync?x=1')).status).toBe(400);
    stop();
  });
});
