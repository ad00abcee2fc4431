import { Agent } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '#libs/contracts';
import { FakeCluster, FakeNode } from './fake-node.js';
import { ask, type RunningGateway, startGateway } from './running-gateway.js';

let cluster: FakeCluster;
let nodes: FakeNode[];
let gateway: RunningGateway;

beforeEach(async () => {
  cluster = new FakeCluster();
  nodes = ['node-1', 'node-2', 'node-3'].map((id) => new FakeNode(id, cluster));
  for (const node of nodes) await node.start();
  cluster.leaderId = 'node-1';
  gateway = await startGateway(nodes);
  // It asks one of them how to balance, and knows who leads when a write is answered.
  await expect.poll(() => nodes.some((it) => it.lists.length > 0)).toBe(true);
  expect((await ask(gateway.base, 'PUT', '/v1/namespaces/app/configs/first', { body: 'x' })).status).toBe(
    200,
  );
});
afterEach(async () => {
  await gateway.stop();
  for (const node of nodes) await node.kill();
});

const KEY = '/v1/namespaces/app/configs/a';
const LIST = '/v1/namespaces/other/configs?limit=7';
/** Whoever has another version than the leader has not got the latest write. */
const holdBack = () => {
  for (const node of nodes.slice(1)) node.heldBackAt = cluster.version;
};
const readersOf = (target: string) => nodes.filter((node) => node.reads.includes(target)).map(({ id }) => id);

describe('report 10: what a gateway has acknowledged', () => {
  it('is read at a node that has it', async () => {
    holdBack();
    expect((await ask(gateway.base, 'PUT', KEY, { body: 'x' })).status).toBe(200);
    for (let i = 0; i < 20; i++) {
      expect((await ask(gateway.base, 'GET', KEY)).text).toBe('value at node-1');
      expect((await ask(gateway.base, 'GET', '/v1/namespaces/app/configs?key=a')).status).toBe(200);
    }
    expect(readersOf(KEY)).toEqual(['node-1']);
  });

  it('is read anywhere when the node that has it is gone', async () => {
    holdBack();
    expect((await ask(gateway.base, 'PUT', KEY, { body: 'x' })).status).toBe(200);
    await nodes[0]?.kill();
    for (let i = 0; i < 9; i++) expect((await ask(gateway.base, 'GET', KEY)).status).toBe(200);
  });

  it('holds up no other key', async () => {
    holdBack();
    expect((await ask(gateway.base, 'PUT', KEY, { body: 'x' })).status).toBe(200);
    for (let i = 0; i < 30; i++) await ask(gateway.base, 'GET', '/v1/namespaces/other/configs/b');
    expect(readersOf('/v1/namespaces/other/configs/b')).toEqual(['node-1', 'node-2', 'node-3']);
  });

  it('is read at the leader over a new connection, which may have met another gateway before', async () => {
    holdBack();
    const target = '/v1/namespaces/other/configs/c';
    for (let i = 0; i < 20; i++) {
      const agent = new Agent({ keepAlive: false });
      expect((await ask(gateway.base, 'GET', target, { agent })).text).toBe('value at node-1');
    }
    expect(readersOf(target)).toEqual(['node-1']);
  });
});

describe('finding 6a: listings through the gateway', () => {
  it('are kept away from the leader while another node is as fit', async () => {
    for (let i = 0; i < 20; i++) await ask(gateway.base, 'GET', LIST);
    expect(nodes.filter((node) => node.lists.includes(LIST)).map(({ id }) => id)).not.toContain('node-1');
    for (const node of nodes.slice(1)) await node.kill();
    expect((await ask(gateway.base, 'GET', LIST)).status).toBe(200);
  });
});

describe('finding 10: reads that wait for a version', () => {
  it('go where the version is', async () => {
    holdBack();
    const { version } = JSON.parse((await ask(gateway.base, 'PUT', KEY, { body: 'x' })).text);
    const target = `/v1/namespaces/other/configs/d?minVersion=${version}`;
    for (let i = 0; i < 9; i++) expect((await ask(gateway.base, 'GET', target)).status).toBe(200);
    expect(readersOf(target)).toEqual(['node-1']);
  });

  it('have a budget of their own, and take nothing from other reads', async () => {
    const never = `${KEY}?minVersion=999999999&timeout=30s`;
    for (const node of nodes) {
      node.answerRead = (req, res) => {
        if (req.url !== never) node.json(res, 200, { read: true });
      };
    }
    const agent = new Agent({ keepAlive: true, maxSockets: 2_000 });
    let refused = 0;
    const waiting = Array.from({ length: LIMITS.waitingReads + 50 }, async () => {
      const answer = await ask(gateway.base, 'GET', never, { agent }).catch(() => undefined);
      if (answer?.status === 429) refused += 1;
    });
    await expect.poll(() => refused, { timeout: 10_000 }).toBe(50);
    for (let i = 0; i < 50; i++) expect((await ask(gateway.base, 'GET', KEY)).status).toBe(200);
    agent.destroy();
    await Promise.all(waiting);
  });
});
