import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { longestWatch } from '../longest-watch.js';
import { EventStream } from './event-stream.js';
import { FakeCluster, FakeNode } from './fake-node.js';
import { ask, type RunningGateway, startGateway } from './running-gateway.js';

let cluster: FakeCluster;
let nodes: FakeNode[];
let gateway: RunningGateway;
let streams: EventStream[];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

function watch(query = 'prefix='): EventStream {
  const stream = new EventStream(`${gateway.base}/v1/namespaces/app/watch?${query}`);
  streams.push(stream);
  return stream;
}

async function watching(query?: string): Promise<EventStream> {
  const stream = watch(query);
  await expect.poll(() => stream.of('bookmark').length).toBeGreaterThan(0);
  return stream;
}

const followed = () => nodes.find((it) => it.follows > 0);

beforeEach(async () => {
  cluster = new FakeCluster();
  nodes = ['node-1', 'node-2', 'node-3'].map((id) => new FakeNode(id, cluster));
  for (const it of nodes) await it.start();
  cluster.leaderId = 'node-1';
  streams = [];
  for (let i = 1; i <= 20; i++) cluster.publish(`k${i % 5}`, `v${i}`);
  gateway = await startGateway(nodes);
});
afterEach(async () => {
  for (const stream of streams) stream.close();
  await gateway.stop();
  for (const it of nodes) await it.kill();
});

describe('watching through the gateway', () => {
  it('begins where the cluster stands, and follows one node for all watchers', async () => {
    const all = await Promise.all(range(1, 20).map(() => watching()));
    for (const stream of all) expect(stream.of('bookmark')[0]?.data.version).toBe(20);
    for (let i = 0; i < 10; i++) cluster.publish('k', `n${i}`);
    for (const stream of all) await expect.poll(() => stream.versions).toEqual(range(21, 30));
    expect(nodes.map((it) => it.follows).sort()).toEqual([0, 0, 1]);
    expect(all[0]?.headers).toMatchObject({ 'holdfast-version': '20' });
  });

  it('begins anywhere in the log', async () => {
    const stream = await watching('prefix=&from=4');
    await expect.poll(() => stream.versions).toEqual(range(5, 20));
    const all = await watching('prefix=&from=0');
    await expect.poll(() => all.versions).toEqual(range(1, 20));
    expect(all.of('bookmark')[0]?.data.version).toBe(0);
  });

  it('sends the present values first when asked', async () => {
    const stream = await watching('prefix=k&initial=true');
    expect(stream.of('put').map((it) => it.data.key)).toEqual(['k0', 'k1', 'k2', 'k3', 'k4']);
    expect(stream.of('put').map((it) => it.data.value)).toEqual(['v20', 'v16', 'v17', 'v18', 'v19']);
    cluster.publish('k0', 'new');
    await expect.poll(() => stream.versions).toEqual([21]);
  });

  it('finding 6c: 100 watches that begin with the present values have them listed once', async () => {
    await watching(); // so that it is known where the cluster stands
    const all = await Promise.all(range(1, 100).map(() => watching('prefix=k&initial=true')));
    for (const stream of all)
      expect(stream.of('put').map((it) => it.data.key)).toEqual(['k0', 'k1', 'k2', 'k3', 'k4']);
    const listings = nodes.flatMap((it) => it.listBytes);
    // The gateway itself lists one key of its own, in every few seconds.
    expect(listings.filter((bytes) => bytes !== undefined)).toEqual([String(256 * 1024)]);
  });

  it('finding 6c: a listing that is not answered in time is not asked of further nodes', async () => {
    await watching();
    for (const it of nodes) it.listsHang = true;
    const stream = watch('prefix=k&initial=true');
    await expect.poll(() => stream.ended, { timeout: 10_000 }).toBe(true);
    expect(nodes.flatMap((it) => it.listBytes).filter((bytes) => bytes !== undefined)).toHaveLength(1);
  }, 15_000);

  it('outlives the nodes it is fed from: no version is missed or repeated', async () => {
    const all = await Promise.all(range(1, 5).map(() => watching()));
    let published = 20;
    const publisher = setInterval(() => {
      cluster.publish('k', 'x');
      published += 1;
    }, 5);
    for (let round = 0; round < 4; round++) {
      await pause(200);
      const victim = nodes.filter((it) => it.follows > 0).at(-1);
      for (const it of nodes) it.follows = 0;
      await victim?.kill();
      await pause(200);
      await victim?.start();
    }
    clearInterval(publisher);
    for (const stream of all) await expect.poll(() => stream.versions).toEqual(range(21, published));
    for (const stream of all) expect(stream.ended).toBe(false);
  }, 20_000);

  it('leaves a node that is frozen', async () => {
    const stream = await watching();
    const frozen = followed() as FakeNode;
    frozen.frozen = true;
    cluster.publish('k', 'x');
    await expect.poll(() => stream.versions).toEqual([21]);
  });

  it('waits for a node that is behind, and leaves it when it stays so', async () => {
    const stream = await watching();
    const slow = followed() as FakeNode;
    slow.heldBackAt = 20;
    cluster.term += 1;
    cluster.leaderId = nodes.find((it) => it !== slow)?.id ?? null;
    for (let i = 0; i < 5; i++) cluster.publish('k', 'x');
    await expect.poll(() => stream.versions, { timeout: 8_000 }).toEqual(range(21, 25));
  }, 15_000);

  it('finding 1: a version that no node sends in a readable form resets watchers and stops nothing', async () => {
    for (const it of nodes) it.damagedAt = 22;
    const stream = await watching('prefix=&from=19');
    cluster.publish('k', 'readable');
    await expect.poll(() => stream.versions).toEqual([20, 21]);
    cluster.publish('k', 'unreadable');
    await expect.poll(() => stream.of('reset').map((it) => it.data.reason)).toEqual(['compacted']);
    expect(stream.of('reset')[0]?.data.version).toBe(22);
    for (const it of nodes) it.damagedAt = undefined;
    const next = await watching('prefix=&from=22');
    cluster.publish('k', 'later');
    await expect.poll(() => next.versions).toEqual([23]);
    // Each node was asked once or twice, not in a loop.
    expect(nodes.reduce((sum, it) => sum + it.follows, 0)).toBeLessThan(8);
  });

  it('answers the long poll', async () => {
    const path = '/v1/namespaces/app/watch?prefix=&wait=5s';
    const past = await ask(gateway.base, 'GET', `${path}&from=18`, {
      headers: { accept: 'application/json' },
    });
    expect(JSON.parse(past.text)).toMatchObject({ version: 20, changes: [{ version: 19 }, { version: 20 }] });
    const next = ask(gateway.base, 'GET', `${path}&from=20`, { headers: { accept: 'application/json' } });
    await pause(200);
    cluster.publish('k', 'x');
    expect(JSON.parse((await next).text)).toMatchObject({ version: 21 });
  });

  it('report 3: a poll that does not wait gets past what others published in one page', async () => {
    await watching();
    // More than the gateway remembers of the log.
    for (let i = 0; i < 25_000; i++) cluster.publish('k', 'x', 'elsewhere');
    const last = cluster.publish('k', 'mine', 'quiet').version;
    for (let i = 0; i < 500; i++) cluster.publish('k', 'x', 'elsewhere');
    const poll = () =>
      ask(gateway.base, 'GET', '/v1/namespaces/quiet/watch?from=1&wait=0s', {
        headers: { accept: 'application/json' },
      });
    await expect
      .poll(async () => JSON.parse((await poll()).text), { timeout: 20_000 })
      .toMatchObject({ version: 25_521, changes: [{ version: last }] });
    const pages = nodes.flatMap((it) => it.logPages).filter((namespaces) => namespaces.includes('quiet'));
    expect(pages).toHaveLength(1);
    const stream = new EventStream(`${gateway.base}/v1/namespaces/quiet/watch?from=2`);
    streams.push(stream);
    await expect.poll(() => stream.versions, { timeout: 5_000 }).toEqual([last]);
  }, 40_000);

  it('report 12: as many watches as are allowed, with the longest prefixes, fit into a request', async () => {
    await watching();
    const answer = await ask(gateway.base, 'GET', longestWatch(), {
      headers: { accept: 'application/json' },
    });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { version: 20, changes: [] }]);
  });

  it('report 7: a watcher of a version that the restored database never had is reset', async () => {
    await watching();
    const stream = watch('prefix=&from=3134');
    await expect.poll(() => stream.of('reset')[0]?.data).toEqual({ version: 20, reason: 'diverged' });
    const poll = await ask(gateway.base, 'GET', '/v1/namespaces/app/watch?from=3134&wait=30s', {
      headers: { accept: 'application/json' },
    });
    expect(poll.status).toBe(410);
    expect(JSON.parse(poll.text)).toMatchObject({
      code: 'version-compacted',
      version: 20,
      reason: 'diverged',
    });
  });

  it('report 7: a database restored to an earlier state resets those who saw more', async () => {
    const stream = await watching();
    cluster.publish('k', 'x');
    await expect.poll(() => stream.versions).toEqual([21]);
    cluster.restore(7);
    await expect
      .poll(() => stream.of('reset')[0]?.data, { timeout: 20_000 })
      .toEqual({
        version: 7,
        reason: 'diverged',
      });
    const next = await watching('prefix=&from=7');
    cluster.publish('k', 'of the restored history');
    await expect.poll(() => next.versions).toEqual([8]);
  }, 30_000);

  it('says so when no node can be followed', async () => {
    for (const it of nodes) await it.kill();
    const stream = watch();
    await expect.poll(() => stream.status, { timeout: 8_000 }).toBe(503);
  }, 15_000);

  it('sends watchers elsewhere when the gateway stops', async () => {
    const stream = await watching();
    await gateway.stop();
    expect(stream.of('end').map((it) => it.data)).toEqual([{ version: 20, reason: 'draining' }]);
    await expect.poll(() => stream.ended).toBe(true);
  });
});
