import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type NodeHold, Problem, type RecoveryStep } from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { Bus } from '#libs/messaging';
import { FakeCluster, FakeNode } from './fake-node.js';
import { ask, type RunningGateway, startGateway } from './running-gateway.js';

const HOLD: NodeHold = {
  nodeId: 'node-1',
  seq: 3,
  drained: true,
  quarantinedUntil: null,
  by: 'failover-1',
  why: 'disk',
  at: '2026-01-01T00:00:00.000Z',
};
const STEP: RecoveryStep = {
  ...{ nodeId: 'node-1', seq: 5, state: 'healthy', incarnation: 7, attempt: 1 },
  ...{ planned: false, why: 'level', by: 'failover-1', at: '2026-01-01T00:00:00.000Z' },
};

let home: string;
let nats: NatsServer;
let bus: Bus;
let node: FakeNode;
let gateway: RunningGateway;
let stops: (() => void)[] = [];
const asked: unknown[] = [];

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
});
beforeEach(async () => {
  asked.length = 0;
  node = new FakeNode('node-1', new FakeCluster());
  await node.start();
  gateway = await startGateway([node], {
    HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
    HOLDFAST_NATS_USER: nats.user,
    HOLDFAST_NATS_PASSWORD: nats.password,
  });
  await expect.poll(async () => JSON.parse((await get('/health')).text).checks.nats.ok).toBe(true);
});
afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  await gateway.stop();
  await node.kill();
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
  await rm(home, { recursive: true, force: true });
});

/** Failover's part, played by the test. */
async function playFailover(): Promise<void> {
  const known = (nodeId: string) => {
    if (nodeId !== 'node-1') throw new Problem('node-not-found', 'none such');
    return { nodeId, hold: HOLD };
  };
  const noted = <R extends { nodeId: string }>(request: R) => {
    asked.push(request);
    return known(request.nodeId);
  };
  stops = [
    bus.handle('failover.drain', (request) => noted(request)),
    bus.handle('failover.release', (request) => noted(request)),
    bus.handle('failover.restart', (request) => ({ ...noted(request), driver: 'http', incarnation: 7 })),
    bus.handle('failover.holds', () => ({ holds: [{ ...HOLD, nodeId: 'node-2' }, HOLD] })),
    bus.handle('failover.recoveries', (request) => {
      asked.push(request);
      return { recoveries: [STEP] };
    }),
  ];
  await bus.subscribed();
}

const get = (path: string) => ask(gateway.base, 'GET', path);
const post = (path: string, body: string, type = 'application/json') =>
  ask(gateway.base, 'POST', path, { body, headers: { 'content-type': type } });

describe('an operator, through the gateway', () => {
  it.each([
    ['drain', { drained: true }, {}],
    ['undrain', { drained: false }, {}],
    ['release', {}, {}],
    ['restart', {}, { driver: 'http', incarnation: 7 }],
  ])('%s: asks failover, and answers with what keeps the node out', async (verb, request, more) => {
    await playFailover();
    const answer = await post(`/v1/nodes/node-1/${verb}`, '{"why":"disk"}');
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      200,
      { nodeId: 'node-1', hold: HOLD, ...more },
    ]);
    expect((await post(`/v1/nodes/node-1/${verb}`, '{}')).status).toBe(200);
    expect(asked).toEqual([
      { nodeId: 'node-1', why: 'disk', ...request },
      { nodeId: 'node-1', ...request },
    ]);
    expect((await post(`/v1/nodes/node-2/${verb}`, '{}')).status).toBe(404);
  });

  it.each(['drain', 'undrain', 'release', 'restart'])('%s: refuses what is not a request', async (verb) => {
    await playFailover();
    const at = `/v1/nodes/node-1/${verb}`;
    const codes = async (answer: Promise<{ status: number; text: string }>) => {
      const { status, text } = await answer;
      return [status, JSON.parse(text).code];
    };
    expect(await codes(post(at, '{}', 'text/plain'))).toEqual([415, 'unsupported-content-type']);
    expect(await codes(post(at, '{"reason":"x"}'))).toEqual([422, 'invalid-field']);
    expect(await codes(post(at, `{"why":"${'x'.repeat(257)}"}`))).toEqual([422, 'invalid-field']);
    expect(await codes(post(`${at}?why=x`, '{}'))).toEqual([400, 'invalid-request']);
    expect(await codes(post(`/v1/nodes/${encodeURIComponent('a b')}/${verb}`, '{}'))).toEqual([
      404,
      'node-not-found',
    ]);
    expect(await codes(get(at))).toEqual([405, 'method-not-allowed']);
    expect(asked).toEqual([]);
  });

  it('is told when failover cannot be asked', async () => {
    const answer = await post('/v1/nodes/node-1/drain', '{}');
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([503, 'no-available-node']);
    expect((await get('/v1/cluster/recoveries')).status).toBe(503);
  });
});

describe('what recovery did', () => {
  it('is listed for all nodes', async () => {
    await playFailover();
    expect(JSON.parse((await get('/v1/cluster/recoveries?limit=7')).text)).toEqual({ recoveries: [STEP] });
    expect(asked).toEqual([{ limit: 7 }]);
    expect((await get('/v1/cluster/recoveries?limit=0')).status).toBe(400);
  });

  it('stands on the page of a node, which is shown without it when failover is away', async () => {
    const alone = JSON.parse((await get('/v1/nodes/node-1')).text);
    expect(alone).toMatchObject({ id: 'node-1', hold: null, recoveries: [] });
    await playFailover();
    expect(JSON.parse((await get('/v1/nodes/node-1')).text)).toMatchObject({
      hold: HOLD,
      recoveries: [STEP],
    });
    expect(asked).toEqual([{ nodeId: 'node-1', limit: 20 }]);
  });
});
