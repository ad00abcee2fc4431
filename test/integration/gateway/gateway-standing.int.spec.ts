import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NodeInfo, NodeStatus, StatusReason } from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { Bus } from '#libs/messaging';
import { FakeCluster, FakeNode } from './fake-node.js';
import { samplesOf } from './metrics.js';
import { ask, type RunningGateway, startGateway } from './running-gateway.js';

/** The first plain read of a connection goes to the leader; one that names its version is balanced. */
const KEY = '/v1/namespaces/app/configs/a?minVersion=0';

let home: string;
let nats: NatsServer;
let bus: Bus;
let cluster: FakeCluster;
let nodes: FakeNode[];
let infos: Map<string, NodeInfo>;
let unhandle: () => void;
let gateway: RunningGateway;

/** What the registry says of a node from now on, in its list and on the bus. */
function becomes(node: FakeNode, to: NodeStatus, reason: StatusReason | null, metadata = {}): void {
  const before = infos.get(node.id);
  const statusSeq = (before?.statusSeq ?? 0) + 1;
  infos.set(node.id, {
    id: node.id,
    kind: 'config-node',
    role: node.id === cluster.leaderId ? 'leader' : 'follower',
    status: to,
    reason,
    address: node.address,
    incarnation: 1,
    statusSeq,
    version: 0,
    lag: 0,
    term: cluster.term,
    lastHeartbeatAt: null,
    registeredAt: '2026-01-01T00:00:00.000Z',
    metadata,
  });
  bus.publish('node.status', {
    nodeId: node.id,
    incarnation: 1,
    statusSeq,
    from: before?.status ?? 'degraded',
    to,
    reason,
    at: '2026-01-01T00:00:00.000Z',
  });
}

/** Of so many reads in a row, how many each node got. */
async function shares(reads: number): Promise<number[]> {
  const before = nodes.map((node) => node.reads.length);
  for (let i = 0; i < reads; i++) expect((await ask(gateway.base, 'GET', KEY)).status).toBe(200);
  return nodes.map((node, index) => node.reads.length - (before[index] ?? 0));
}

async function shown(node: FakeNode): Promise<unknown> {
  const { nodes: views } = JSON.parse((await ask(gateway.base, 'GET', '/v1/cluster')).text);
  const view = views.find(({ id }: { id: string }) => id === node.id);
  return view && [view.status, view.reason];
}

async function start(env: Record<string, string> = {}): Promise<void> {
  gateway = await startGateway([], {
    HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
    HOLDFAST_NATS_USER: nats.user,
    HOLDFAST_NATS_PASSWORD: nats.password,
    ...env,
  });
  for (const node of nodes) {
    const info = infos.get(node.id);
    await expect.poll(() => shown(node), { timeout: 8_000 }).toEqual([info?.status, info?.reason ?? null]);
  }
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-standing-'));
  nats = await startNats({ dir: join(home, 'nats') });
  bus = Bus.connect({
    clusterKey: 'k'.repeat(32),
    servers: [`127.0.0.1:${nats.port}`],
    user: nats.user,
    password: nats.password,
    name: 'test',
    logger: pino({ level: 'silent' }),
  });
});
beforeEach(async () => {
  await expect.poll(() => bus.connected).toBe(true);
  cluster = new FakeCluster();
  nodes = ['node-1', 'node-2', 'node-3'].map((id) => new FakeNode(id, cluster));
  for (const node of nodes) await node.start();
  cluster.leaderId = 'node-1';
  infos = new Map();
  for (const node of nodes) becomes(node, 'healthy', null);
  unhandle = bus.handle('registry.list', () => ({ nodes: [...infos.values()] }));
  await bus.subscribed();
});
afterEach(async () => {
  unhandle();
  await gateway.stop();
  for (const node of nodes) await node.kill();
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
  await rm(home, { recursive: true, force: true });
});

describe('a node', () => {
  it.each([
    ['degraded', 'syncing'],
    ['degraded', 'recovering'],
    ['degraded', 'draining'],
    ['failed', 'quarantined'],
    ['degraded', 'stale'],
  ] as const)(
    'that is %s, %s, gets no read while a healthy one answers, and all when none does',
    async (to, reason) => {
      const [node, ...others] = nodes as [FakeNode, FakeNode, FakeNode];
      becomes(node, to, reason);
      await start();
      expect((await shares(60))[0]).toBe(0);
      expect((await samplesOf(gateway.base, 'gateway_upstream_requests_total', 'node'))['node-1'] ?? 0).toBe(
        0,
      );
      for (const other of others) await other.kill();
      expect(await shares(10)).toEqual([10, 0, 0]);
      becomes(node, 'healthy', null);
      await expect.poll(() => shown(node)).toEqual(['healthy', null]);
    },
  );

  it('gets no read before the registry calls it healthy, and few at first', async () => {
    const [node] = nodes as [FakeNode];
    becomes(node, 'degraded', 'syncing');
    await start({ HOLDFAST_BALANCING: 'round-robin' });
    expect((await shares(60))[0]).toBe(0);
    // With all nodes new nobody would be held back: the others have to be there for as long as the start is slow.
    cluster.publishSystem('gateway/balancing', '{"strategy":"round-robin","slowStartMs":4000}');
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    becomes(node, 'healthy', null);
    await expect.poll(() => shown(node)).toEqual(['healthy', null]);
    const [first = 0] = await shares(210);
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(60);
    const share = async () => (await samplesOf(gateway.base, 'gateway_upstream_share'))['node-1'];
    await expect.poll(share, { timeout: 6_000 }).toBe(1);
    for (const reads of await shares(30)) expect(Math.abs(reads - 10)).toBeLessThanOrEqual(1);
    const picks = await samplesOf(gateway.base, 'gateway_upstream_requests_total', 'status_at_pick');
    expect(picks.syncing ?? 0).toBe(0);
  });

  it('gets reads by the weight in its metadata; what cannot be one counts as 1', async () => {
    const [heavy, odd] = nodes as [FakeNode, FakeNode];
    becomes(heavy, 'healthy', null, { weight: '4' });
    becomes(odd, 'healthy', null, { weight: 'much' });
    await start({ HOLDFAST_BALANCING: 'weighted-round-robin' });
    expect(await shares(60)).toEqual([40, 10, 10]);
  });
});
