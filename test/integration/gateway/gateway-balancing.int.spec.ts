import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRng } from '#libs/kernel';
import { FakeCluster, FakeNode } from './fake-node.js';
import { samplesOf } from './metrics.js';
import { ask, type RunningGateway, startGateway } from './running-gateway.js';

let cluster: FakeCluster;
let nodes: FakeNode[];
let gateways: RunningGateway[];

const key = (name: string) => `/v1/namespaces/app/configs/${name}`;
const statuses = (answers: readonly { status: number }[]) => [
  ...new Set(answers.map(({ status }) => status)),
];
const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

async function start(env: Record<string, string> = {}, settled = true): Promise<RunningGateway> {
  const gateway = await startGateway(nodes, env);
  gateways.push(gateway);
  if (settled) await expect.poll(() => nodes.some((it) => it.lists.length > 0)).toBe(true);
  for (const it of nodes) {
    it.lists.length = 0;
    it.reads.length = 0;
  }
  return gateway;
}

beforeEach(async () => {
  cluster = new FakeCluster();
  gateways = [];
  nodes = ['node-1', 'node-2', 'node-3', 'node-4'].map((id) => new FakeNode(id, cluster));
  for (const node of nodes) await node.start();
  cluster.leaderId = 'node-1';
});
afterEach(async () => {
  for (const gateway of gateways) await gateway.stop();
  for (const node of nodes) await node.kill();
});

/** Runs `total` tasks, so many at once. */
async function inParallel(total: number, atOnce: number, task: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < total) await task(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

describe('requests under way', () => {
  it('are counted exactly: 10,000 of every kind, with clients that leave and nodes that fail, leave nothing', async () => {
    const gateway = await start({ HOLDFAST_HEDGE_READS: '1' });
    const rng = seededRng(20_261_126);
    for (const node of nodes) {
      const act: FakeNode['answerRead'] = (req, res) => {
        const what = rng.int(20);
        if (what === 0) req.socket.resetAndDestroy();
        else if (what === 1) node.problem(res, 503, 'storage-unavailable');
        else if (what === 2) res.writeHead(500).end('no problem of ours');
        else if (what === 3) {
          res.writeHead(200, { 'content-length': 100_000 });
          res.write(Buffer.alloc(1_000));
          setTimeout(() => req.socket.resetAndDestroy(), rng.int(10));
        } else if (what < 8) setTimeout(() => node.json(res, 200, {}), rng.int(30));
        else node.json(res, 200, { some: 'value' });
      };
      node.answerRead = act;
      node.answerWrite = (req, res) => {
        if (rng.int(10) === 0) req.socket.resetAndDestroy();
        else node.json(res, 200, { version: 1, term: 1 });
      };
    }
    let ended = 0;
    let left = 0;
    await inParallel(10_000, 64, (i) => {
      const leavesAfterMs = rng.int(4) === 0 ? rng.int(20) : undefined;
      const method = rng.int(20) === 0 ? 'PUT' : 'GET';
      return new Promise<void>((resolve) => {
        const { port } = new URL(gateway.base);
        const req = request(
          { port, path: key(`k${i}`), method, headers: { 'content-type': 'text/plain' } },
          (res) => {
            res.resume();
            res.on('error', () => undefined);
          },
        );
        req.on('error', () => undefined);
        req.on('close', () => {
          ended += 1;
          resolve();
        });
        if (leavesAfterMs !== undefined) {
          setTimeout(() => {
            left += req.destroyed ? 0 : 1;
            req.destroy();
          }, leavesAfterMs);
        }
        req.end(method === 'PUT' ? 'v' : undefined);
      });
    });
    expect(ended).toBe(10_000);
    expect(left).toBeGreaterThan(500);
    const active = async () => samplesOf(gateway.base, 'gateway_upstream_active');
    await expect
      .poll(active, { timeout: 10_000 })
      .toEqual({ 'node-1': 0, 'node-2': 0, 'node-3': 0, 'node-4': 0 });
    expect(
      sum(Object.values(await samplesOf(gateway.base, 'gateway_upstream_requests_total'))),
    ).toBeGreaterThan(8_000);
  }, 120_000);

  it('go around a node that is slow', async () => {
    const gateway = await start();
    const [slow, ...others] = nodes as [FakeNode, ...FakeNode[]];
    for (const node of nodes) {
      node.answerRead = (_req, res) => setTimeout(() => node.json(res, 200, {}), node === slow ? 200 : 5);
    }
    await inParallel(400, 16, async (i) => {
      await ask(gateway.base, 'GET', key(`k${i}`));
    });
    expect(slow.reads.length).toBeLessThan(40);
    for (const node of others) expect(node.reads.length).toBeGreaterThan(90);
  });

  it('are not confused with the logs that are followed', async () => {
    const gateway = await start();
    const watch = request(`${gateway.base}/v1/namespaces/app/watch?prefix=`, (res) => res.resume());
    watch.on('error', () => undefined).end();
    const follows = async () => sum(Object.values(await samplesOf(gateway.base, 'gateway_upstream_follows')));
    await expect.poll(follows).toBe(1);
    expect(sum(Object.values(await samplesOf(gateway.base, 'gateway_upstream_active')))).toBe(0);
    const [followed] = nodes.filter((node) => node.follows > 0);
    await followed?.kill();
    await expect.poll(() => nodes.filter((node) => node.follows > 0).length).toBe(2);
    await expect.poll(follows).toBe(1);
    watch.destroy();
  });
});

describe('a fleet that fails as a whole', () => {
  const FAULTS: Record<string, (node: FakeNode) => FakeNode['answerRead']> = {
    resets: () => (req) => {
      req.socket.resetAndDestroy();
    },
    'says that it stops': (node) => (_req, res) => node.problem(res, 503, 'shutting-down'),
    'has no database': (node) => (_req, res) => node.problem(res, 503, 'storage-unavailable'),
    'answers what is not ours': () => (_req, res) => {
      res.writeHead(503).end('<html>');
    },
  };

  it.each(Object.keys(FAULTS))(
    'and %s is asked at most 1.2 times for each request',
    async (fault) => {
      const gateway = await start();
      for (const node of nodes) node.answerRead = FAULTS[fault]?.(node);
      const seen = new Map<number, number>();
      const begun = nodes.map((node) => node.reads.length);
      await inParallel(2_000, 32, async (i) => {
        const { status } = await ask(gateway.base, 'GET', key(`k${i}`));
        seen.set(status, (seen.get(status) ?? 0) + 1);
      });
      const asked = sum(nodes.map((node, index) => node.reads.length - (begun[index] ?? 0)));
      expect([...seen.keys()]).toEqual([503]);
      expect(asked / 2_000).toBeLessThanOrEqual(1.2);
      for (const node of nodes) node.answerRead = undefined;
      await expect.poll(async () => (await ask(gateway.base, 'GET', key('x'))).status).toBe(200);
    },
    60_000,
  );
});

describe('a node that fails its requests', () => {
  it('is asked no more for a while, whatever is said of its health', async () => {
    const gateway = await start({ HOLDFAST_BALANCING: 'round-robin' });
    const [bad] = nodes as [FakeNode];
    bad.answerRead = (_req, res) => {
      res.writeHead(500).end('broken');
    };
    const answers = [];
    for (let i = 0; i < 60; i++) answers.push(await ask(gateway.base, 'GET', key(`k${i}`)));
    expect(answers.filter(({ status }) => status === 500)).toHaveLength(5);
    expect(bad.reads).toHaveLength(5);
  });
});

describe('the way of balancing', () => {
  const publish = (name: string, value: string) => cluster.publishSystem(name, value);
  const BALANCING = 'gateway/balancing';

  async function spread(gateway: RunningGateway, name: string): Promise<number[]> {
    const before = nodes.map((node) => node.reads.length);
    // A client that says which version it has seen is sent anywhere with its first request too.
    for (let i = 0; i < 40; i++) await ask(gateway.base, 'GET', `${key(name)}?minVersion=0`);
    return nodes.map((node, index) => node.reads.length - (before[index] ?? 0)).toSorted((a, b) => a - b);
  }

  it.each([
    ['round-robin', [10, 10, 10, 10]],
    ['least-connections', [10, 10, 10, 10]],
    ['weighted-round-robin', [10, 10, 10, 10]],
    ['consistent-hash', [0, 0, 0, 40]],
  ])('is %s when the settings say so', async (strategy, expected) => {
    const gateway = await start({ HOLDFAST_BALANCING: strategy });
    expect(await spread(gateway, 'one')).toEqual(expected);
  });

  it('sends the same key of all gateways to the same node', async () => {
    const both = [
      await start({ HOLDFAST_BALANCING: 'consistent-hash', HOLDFAST_INSTANCE_ID: 'g1' }),
      await start({ HOLDFAST_BALANCING: 'consistent-hash', HOLDFAST_INSTANCE_ID: 'g2' }),
    ];
    for (let i = 0; i < 20; i++) {
      const answers = await Promise.all(both.map(({ base }) => ask(base, 'GET', key(`k${i}`))));
      expect(answers[0]?.headers['holdfast-node']).toBe(answers[1]?.headers['holdfast-node']);
    }
  });

  it('is changed for all gateways by a key, ignores what is not valid, and ends with the key', async () => {
    const gateway = await start({ HOLDFAST_BALANCING: 'round-robin' });
    expect(await spread(gateway, 'one')).toEqual([10, 10, 10, 10]);
    publish(BALANCING, '{"strategy":"consistent-hash"}');
    await expect
      .poll(() => spread(gateway, 'one'), { timeout: 12_000, interval: 500 })
      .toEqual([0, 0, 0, 40]);
    publish(BALANCING, '{"strategy":"by-hope"}');
    const asked = sum(nodes.map((node) => node.lists.length));
    await expect
      .poll(() => sum(nodes.map((node) => node.lists.length)), { timeout: 15_000 })
      .toBeGreaterThan(asked + 1);
    expect(await spread(gateway, 'one')).toEqual([0, 0, 0, 40]);
    publish(BALANCING, '');
    await expect
      .poll(() => spread(gateway, 'one'), { timeout: 12_000, interval: 500 })
      .toEqual([10, 10, 10, 10]);
  }, 60_000);

  it('is taken from the log at once while it is followed', async () => {
    const gateway = await start({ HOLDFAST_BALANCING: 'round-robin' });
    const watch = request(`${gateway.base}/v1/namespaces/app/watch?prefix=`, (res) => res.resume());
    watch.on('error', () => undefined).end();
    await expect.poll(() => nodes.filter((node) => node.follows > 0).length).toBe(1);
    publish(BALANCING, '{"strategy":"consistent-hash"}');
    await expect.poll(() => spread(gateway, 'one')).toEqual([0, 0, 0, 40]);
    watch.destroy();
  });

  it('is not taken back on the word of a node that is behind', async () => {
    const gateway = await start({ HOLDFAST_BALANCING: 'round-robin' });
    publish(BALANCING, '{"strategy":"consistent-hash"}');
    await expect
      .poll(() => spread(gateway, 'one'), { timeout: 12_000, interval: 500 })
      .toEqual([0, 0, 0, 40]);
    for (const node of nodes) node.heldBackAt = 0;
    const asked = sum(nodes.map((node) => node.lists.length));
    await expect
      .poll(() => sum(nodes.map((node) => node.lists.length)), { timeout: 15_000 })
      .toBeGreaterThan(asked + 1);
    expect(await spread(gateway, 'one')).toEqual([0, 0, 0, 40]);
  }, 40_000);
});

describe('hedged reads', () => {
  it('are asked of a second node when the first takes longer than usual, and answered once', async () => {
    const gateway = await start({ HOLDFAST_HEDGE_READS: '1' });
    const [stalls] = nodes as [FakeNode];
    for (let i = 0; i < 200; i++) await ask(gateway.base, 'GET', key(`k${i}`));
    // Longer than the test: an answer can only be that of another node.
    stalls.answerRead = () => undefined;
    const answers = [];
    for (let i = 0; i < 40; i++) answers.push(await ask(gateway.base, 'GET', key(`k${i}`)));
    expect(statuses(answers)).toEqual([200]);
    expect(stalls.reads.length).toBeGreaterThan(50);
    expect(answers.filter(({ text }) => text.includes(stalls.id))).toEqual([]);
    expect(
      sum(Object.values(await samplesOf(gateway.base, 'gateway_read_hedges_total', 'service'))),
    ).toBeGreaterThan(0);
  });
});
