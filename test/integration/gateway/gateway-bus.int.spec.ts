import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type HealthReport, type NodeInfo, Problem } from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { Bus, DurableEvents } from '#libs/messaging';
import { EventStream } from './event-stream.js';
import { FakeCluster, FakeNode } from './fake-node.js';
import { ask, type RunningGateway, startGateway } from './running-gateway.js';

const logger = pino({ level: 'silent' });
const KEY = '/v1/namespaces/app/configs/a';
/** The first plain read of a connection goes to the leader; one that names its version is balanced. */
const BALANCED = `${KEY}?minVersion=0`;
const JSON_BODY = { 'content-type': 'application/json' };
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let home: string;
let nats: NatsServer;
let bus: Bus;
let cluster: FakeCluster;
let nodes: FakeNode[];
let gateway: RunningGateway;

function connect(name: string): Bus {
  return Bus.connect({
    clusterKey: 'k'.repeat(32),
    servers: [`127.0.0.1:${nats.port}`],
    user: nats.user,
    password: nats.password,
    name,
    logger,
  });
}

function info(node: FakeNode, at: Partial<NodeInfo> = {}): NodeInfo {
  return {
    id: node.id,
    kind: 'config-node',
    role: node.id === cluster.leaderId ? 'leader' : 'follower',
    status: 'healthy',
    reason: null,
    address: node.address,
    incarnation: 1,
    statusSeq: 1,
    version: 3,
    lag: 0,
    term: cluster.term,
    lastHeartbeatAt: '2026-01-01T00:00:00.000Z',
    registeredAt: '2026-01-01T00:00:00.000Z',
    metadata: { zone: 'a' },
    ...at,
  };
}

function elect(node: FakeNode): void {
  const previousLeaderId = cluster.leaderId;
  cluster.term += 1;
  cluster.leaderId = node.id;
  bus.publish('leader.elected', {
    term: cluster.term,
    leaderId: node.id,
    leaderAddress: node.address,
    incarnation: 1,
    previousLeaderId,
    version: cluster.version,
    reason: 'process-down',
    timings: { detectMs: 1, electMs: 1 },
    at: '2026-01-02T00:00:00.000Z',
  });
}

/** The registry's and the nodes' part, played by the test. */
let stops: (() => void)[] = [];
function playRegistry(): void {
  let seq = 0;
  const beats = setInterval(() => {
    seq += 1;
    for (const node of nodes) {
      const { id: nodeId, address } = node;
      const role = nodeId === cluster.leaderId ? 'leader' : 'follower';
      const at = { term: cluster.term, version: cluster.version };
      bus.publish('node.heartbeat', {
        nodeId,
        incarnation: 1,
        seq,
        kind: 'config-node',
        role,
        address,
        ...at,
      });
    }
  }, 200);
  stops = [
    () => clearInterval(beats),
    bus.handle('registry.list', () => ({ nodes: nodes.map((node) => info(node)) })),
    bus.handle('registry.get', ({ nodeId }) => {
      const node = nodes.find((it) => it.id === nodeId);
      if (node === undefined) throw new Problem('node-not-found', 'none such');
      return { node: info(node), transitions: [] };
    }),
  ];
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-gateway-'));
  nats = await startNats({ dir: join(home, 'nats') });
  bus = connect('test');
});
beforeEach(async () => {
  cluster = new FakeCluster();
  nodes = ['node-1', 'node-2', 'node-3'].map((id) => new FakeNode(id, cluster));
  for (const it of nodes) await it.start();
  cluster.leaderId = 'node-1';
  cluster.version = 3;
  playRegistry();
  // Nothing is told beforehand: nodes are discovered through the registry and their heartbeats.
  gateway = await startGateway([], {
    HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
    HOLDFAST_NATS_USER: nats.user,
    HOLDFAST_NATS_PASSWORD: nats.password,
  });
  await expect.poll(async () => (await ask(gateway.base, 'GET', '/health')).status).toBe(200);
});
afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  await gateway.stop();
  for (const it of nodes) await it.kill();
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
  await rm(home, { recursive: true, force: true });
});

const first = () => nodes[0] as FakeNode;
const second = () => nodes[1] as FakeNode;

async function view(): Promise<Record<string, unknown> & { nodes: Record<string, unknown>[] }> {
  return JSON.parse((await ask(gateway.base, 'GET', '/v1/cluster')).text);
}

describe('a gateway on the bus', () => {
  it('shows the cluster', async () => {
    const standing = async () => (await view()).nodes.map((node) => [node.id, node.role, node.status]);
    // Pings and the registry's list tell different things, in either order.
    await expect.poll(standing).toEqual([
      ['node-1', 'leader', 'healthy'],
      ['node-2', 'follower', 'healthy'],
      ['node-3', 'follower', 'healthy'],
    ]);
    // The registry tells of the nodes, but only their pings tell of the cluster.
    const known = { clusterId: 'fake', term: 1, leaderId: 'node-1', version: 3 };
    await expect.poll(view).toMatchObject(known);
    const shown = await view();
    expect(shown.nodes[0]).toMatchObject({ reason: null, incarnation: 1, metadata: { zone: 'a' }, lag: 0 });
    elect(second());
    await expect.poll(async () => (await view()).leaderId).toBe('node-2');
    expect(await view()).toMatchObject({ term: 2, electedAt: '2026-01-02T00:00:00.000Z' });
  });

  it('sends parked writes to a new leader as soon as it is elected', async () => {
    first().nextWrites = ['commit-then-die'];
    const answers = Array.from({ length: 20 }, (_, i) => ask(gateway.base, 'PUT', KEY, { body: `v${i}` }));
    await pause(120);
    const electedAt = performance.now();
    elect(second());
    for (const { status } of await Promise.all(answers)) expect(status).toBe(200);
    expect(performance.now() - electedAt).toBeLessThan(2_000);
    expect(cluster.log).toHaveLength(20);
  });

  it("takes a node out on failover's word, and puts it back on the registry's", async () => {
    const asked = async () => {
      for (const node of nodes) node.reads.length = 0;
      for (let i = 0; i < 12; i++) await ask(gateway.base, 'GET', BALANCED);
      return nodes.map((node) => node.reads.length);
    };
    expect(await asked()).toEqual([4, 4, 4]);
    const { id: nodeId } = second();
    bus.publish('node.failed', {
      nodeId,
      incarnation: 1,
      verdict: 'failed',
      reason: 'unresponsive',
      judgedBy: 'failover-1',
      confirmedBy: [],
      evidence: {},
      at: '2026-01-01T00:00:00.000Z',
    });
    await expect.poll(asked).toEqual([6, 0, 6]);
    const status = {
      nodeId,
      incarnation: 1,
      statusSeq: 2,
      from: null,
      reason: null,
      at: '2026-01-01T00:00:00Z',
    };
    bus.publish('node.status', { ...status, to: 'healthy' });
    await expect.poll(asked).toEqual([4, 4, 4]);
  });

  it('shows a node with its transitions, and says when there is none', async () => {
    const known = await ask(gateway.base, 'GET', '/v1/nodes/node-2');
    expect(JSON.parse(known.text)).toMatchObject({ id: 'node-2', status: 'healthy', transitions: [] });
    const unknown = await ask(gateway.base, 'GET', '/v1/nodes/node-9');
    expect([unknown.status, JSON.parse(unknown.text).code]).toEqual([404, 'node-not-found']);
    expect((await ask(gateway.base, 'GET', '/v1/nodes/no%20such')).status).toBe(404);
  });

  it('shows what health checks have found, and does without when nobody can be asked', async () => {
    const seen = async () => JSON.parse((await ask(gateway.base, 'GET', '/v1/nodes/node-2')).text).health;
    expect(await seen()).toBeNull();
    const health: Omit<HealthReport, 'nodeId' | 'incarnation'> = {
      state: 'down',
      reason: 'not-ready',
      consecutive: { outcome: 'fail', count: 3 },
      observer: 'health-1',
      recent: [{ at: '2026-01-01T00:00:00.000Z', result: 'not-ready', ms: 1.5, failed: ['state'] }],
      transitions: [],
    };
    let hangs = false;
    stops.push(
      bus.handle('health.report', async ({ nodeId }) => {
        if (hangs) await new Promise(() => undefined);
        return { nodeId, incarnation: 7, ...health };
      }),
    );
    await bus.subscribed();
    await expect.poll(seen).toEqual(health);
    hangs = true;
    const { status, text } = await ask(gateway.base, 'GET', '/v1/nodes/node-2');
    expect([status, JSON.parse(text).health]).toEqual([200, null]);
  });

  it('hands leadership over, and passes on why it could not', async () => {
    stops.push(
      bus.handle('failover.handover', ({ to }) => {
        if (to === 'node-4') throw new Problem('invalid-field', 'an observer cannot lead');
        return { term: 2, leaderId: to ?? 'node-2', durationMs: 12 };
      }),
    );
    await bus.subscribed();
    const post = (body: string | undefined, headers: Record<string, string> = JSON_BODY) =>
      ask(gateway.base, 'POST', '/v1/cluster/handover', { headers, ...(body === undefined ? {} : { body }) });
    await expect.poll(async () => (await post('{"to":"node-3"}')).status).toBe(200);
    expect(JSON.parse((await post('{}')).text)).toEqual({ term: 2, leaderId: 'node-2', durationMs: 12 });
    expect((await post('{"to":"node-4"}')).status).toBe(422);
    expect((await post('{"too":"node-4"}')).status).toBe(422);
    expect((await post('[]')).status).toBe(422);
    expect((await post('{')).status).toBe(400);
    expect((await post('to=node-3', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(
      415,
    );
    expect((await post(undefined, {})).status).toBe(415);
  });

  it('says so when nobody can hand over, or tell the elections', async () => {
    const handover = await ask(gateway.base, 'POST', '/v1/cluster/handover', {
      body: '{}',
      headers: JSON_BODY,
    });
    expect([handover.status, JSON.parse(handover.text).code]).toEqual([503, 'no-available-node']);
    expect((await ask(gateway.base, 'GET', '/v1/cluster/elections')).status).toBe(503);
    expect((await ask(gateway.base, 'GET', '/v1/cluster/elections?limit=0')).status).toBe(400);
    expect((await ask(gateway.base, 'GET', '/v1/cluster?x=1')).status).toBe(400);
  });

  it('streams the facts of the bus, from anywhere, resumably', async () => {
    const facts = new DurableEvents(bus, logger);
    const lose = (term: number) =>
      facts.publish('leader.lost', { nodeId: 'node-1', term, reason: 'test', at: 'now' }, `lost/${term}`);
    for (const term of [100, 101, 102]) expect(await lose(term)).toBe('stored');
    const url = `${gateway.base}/v1/events`;
    const terms = (stream: EventStream) =>
      stream.of('leader.lost').map((it) => (it.data.payload as { term: number }).term);
    const all = new EventStream(`${url}?from=0`);
    await expect.poll(() => terms(all)).toEqual([100, 101, 102]);
    const ids = all.of('leader.lost').map((it) => Number(it.id));
    const resumed = new EventStream(url, { 'last-event-id': String(ids[1]) });
    const fromNow = new EventStream(url);
    await expect.poll(() => fromNow.status).toBe(200);
    await pause(300);
    await lose(103);
    await expect.poll(() => terms(resumed)).toEqual([102, 103]);
    await expect.poll(() => terms(fromNow)).toEqual([103]);
    expect(all.of('leader.lost')[0]?.data).toMatchObject({ id: 'lost/100', subject: 'leader.lost' });
    expect((await ask(gateway.base, 'GET', '/v1/events?from=x')).status).toBe(400);
    for (const stream of [all, resumed, fromNow]) stream.close();
  });

  it('goes on without the bus: reads, writes, and a change of leader', async () => {
    await nats.stop();
    try {
      for (let i = 0; i < 10; i++) expect((await ask(gateway.base, 'GET', KEY)).status).toBe(200);
      expect((await ask(gateway.base, 'PUT', KEY, { body: 'x' })).status).toBe(200);
      await pause(1_600);
      await first().kill();
      cluster.term += 1;
      cluster.leaderId = second().id;
      expect((await ask(gateway.base, 'PUT', KEY, { body: 'y' })).status).toBe(200);
      for (let i = 0; i < 10; i++) expect((await ask(gateway.base, 'GET', KEY)).status).toBe(200);
      const stream = new EventStream(`${gateway.base}/v1/events`);
      await expect.poll(() => stream.status).toBe(200);
      stream.close();
    } finally {
      nats = await startNats({ dir: join(home, 'nats'), port: nats.port });
      await expect.poll(() => bus.connected, { timeout: 10_000 }).toBe(true);
    }
  }, 20_000);
});

describe('ready means ready: a gateway', () => {
  const health = async () => {
    const { status, text } = await ask(gateway.base, 'GET', '/health');
    return [status, JSON.parse(text).checks.nodes.state];
  };

  it('is not ready with three followers and no leader, is with one, and stays so when the leader goes', async () => {
    await gateway.stop();
    cluster.leaderId = null;
    gateway = await startGateway(nodes, {
      HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
      HOLDFAST_NATS_USER: nats.user,
      HOLDFAST_NATS_PASSWORD: nats.password,
    });
    await expect.poll(async () => (await ask(gateway.base, 'GET', KEY)).status).toBe(200);
    expect(await health()).toEqual([503, 'starting']);
    cluster.leaderId = 'node-1';
    const head = { leaderId: 'node-1', term: cluster.term, version: 3, chain: '0'.repeat(64) };
    bus.publish('sync.head', { ...head, confirmedAgoMs: null });
    bus.publish('sync.head', { ...head, confirmedAgoMs: 12 });
    await expect.poll(health).toEqual([200, 'serving']);
    cluster.leaderId = null;
    const at = '2026-01-01T00:00:00.000Z';
    bus.publish('leader.lost', { nodeId: 'node-1', term: cluster.term, reason: 'storage', at });
    await expect.poll(health).toEqual([200, 'reads-only']);
  });
});
