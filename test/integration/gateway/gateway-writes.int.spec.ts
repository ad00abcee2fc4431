import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendRaw } from '../api/raw-request.js';
import { FakeCluster, FakeNode } from './fake-node.js';
import { ask, type RunningGateway, startGateway } from './running-gateway.js';

let cluster: FakeCluster;
let nodes: FakeNode[];
let gateway: RunningGateway;

const [A, B, C] = [0, 1, 2] as const;
const node = (index: number) => nodes[index] as FakeNode;
const KEY = '/v1/namespaces/app/configs/a';
const put = (body = 'x', headers: Record<string, string> = {}) =>
  ask(gateway.base, 'PUT', KEY, { body, headers });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function elect(index: number): void {
  cluster.term += 1;
  cluster.leaderId = node(index).id;
}

beforeEach(async () => {
  cluster = new FakeCluster();
  nodes = ['node-1', 'node-2', 'node-3'].map((id) => new FakeNode(id, cluster));
  for (const it of nodes) await it.start();
  cluster.leaderId = 'node-1';
  gateway = await startGateway(nodes);
});
afterEach(async () => {
  await gateway.stop();
  for (const it of nodes) await it.kill();
});

describe('writes through the gateway', () => {
  it('go to the leader, with a key and the term they aim at', async () => {
    expect((await put()).status).toBe(200);
    expect((await put('y', { 'idempotency-key': 'mine', 'holdfast-attempt': '1' })).status).toBe(200);
    const [first, second] = node(A).writes;
    expect(first).toMatchObject({ attempt: '1', aimTerm: '1', body: 'x' });
    expect(first?.key).toMatch(/^[0-9a-f-]{36}$/);
    expect(second).toMatchObject({ key: 'mine', attempt: undefined, body: 'y' });
    expect(node(B).writes).toEqual([]);
  });

  it('report 9f: do not go on without a body', async () => {
    const { host, port } = new URL(gateway.base);
    const curl = (...headers: string[]) => {
      const lines = [`PUT ${KEY} HTTP/1.1`, `Host: ${host}`, ...headers, '', ''];
      return sendRaw(Number(port), Buffer.from(lines.join('\r\n')));
    };
    for (const headers of [[], ['Content-Type: text/plain'], ['Content-Length: 0']]) {
      const answer = await curl(...headers);
      expect(answer?.status).toBe(400);
      expect(JSON.parse(answer?.body.toString() ?? '').code).toBe('invalid-request');
    }
    expect(node(A).writes).toEqual([]);
    expect((await curl('Content-Type: text/plain', 'Content-Length: 0'))?.status).toBe(200);
    expect(node(A).writes).toMatchObject([{ body: '' }]);
  });

  it('are carried over the death of the leader: each takes effect once and is acknowledged', async () => {
    node(A).nextWrites = ['commit-then-die'];
    const answers = Promise.all(Array.from({ length: 50 }, (_, i) => put(`v${i}`)));
    await pause(150);
    elect(C);
    for (const { status } of await answers) expect(status).toBe(200);
    expect(cluster.log.map((it) => it.body).sort()).toEqual(
      Array.from({ length: 50 }, (_, i) => `v${i}`).sort(),
    );
    const repeated = node(C).writes.find((it) => it.key === cluster.log[0]?.key);
    expect(repeated).toMatchObject({ attempt: undefined });
  });

  it('wait for a leader, and get a clear error when there is none in time', async () => {
    cluster.leaderId = null;
    cluster.term = 7;
    const late = put('late');
    await pause(300);
    elect(B);
    expect((await late).status).toBe(200);
    cluster.leaderId = null;
    const { status, text, ms } = await put('never');
    expect([status, JSON.parse(text).code]).toEqual([503, 'no-leader']);
    expect(ms).toBeGreaterThan(4_500);
    expect(ms).toBeLessThan(10_000);
  }, 15_000);

  it('after an unknown attempt end in outcome-unknown, never in a definite error', async () => {
    node(A).nextWrites = ['commit-then-die'];
    const { status, text, headers } = await put('perhaps');
    expect([status, JSON.parse(text).code]).toEqual([504, 'outcome-unknown']);
    // whoever gave no key learns the one to repeat it with
    expect(headers['idempotency-key']).toBe(cluster.log[0]?.key);
  }, 15_000);

  it('are not given to a third leader when two died with them', async () => {
    node(A).nextWrites = ['die'];
    node(B).nextWrites = ['die'];
    const answer = put('poison');
    await pause(100);
    elect(B);
    await expect.poll(() => node(B).writes.length).toBe(1);
    await pause(100);
    elect(C);
    const { status, text } = await answer;
    expect([status, JSON.parse(text).code]).toEqual([504, 'outcome-unknown']);
    expect(node(C).writes).toEqual([]);
    expect((await put('healthy')).status).toBe(200);
  }, 15_000);

  it('are repeated under their key when the connection alone breaks', async () => {
    node(A).nextWrites = ['commit-then-reset', 'reset', 'reset'];
    expect((await put('again')).status).toBe(200);
    expect(cluster.log).toHaveLength(1);
    expect(new Set(node(A).writes.map((it) => it.key)).size).toBe(1);
  });

  it('follow the leader that a node names', async () => {
    elect(B); // nobody told the gateway
    expect((await put()).status).toBe(200);
  });

  it('leave a frozen leader as soon as there is another', async () => {
    node(A).frozen = true;
    const answers = Promise.all(Array.from({ length: 20 }, (_, i) => put(`f${i}`)));
    await pause(700);
    elect(B);
    for (const { status } of await answers) expect(status).toBe(200);
    expect(cluster.log).toHaveLength(20);
  });

  it('go through another node when the leader cannot be reached from here', async () => {
    const relayed: string[] = [];
    for (const it of [node(B), node(C)]) {
      it.answerWrite = (req, res, body) => {
        if (req.headers['holdfast-forward'] !== '1' || it.standingOf(req) !== 'member') {
          it.problem(res, 421, 'not-leader', { leader: null });
          return;
        }
        relayed.push(body);
        it.json(res, 200, { version: 1, term: 1, relayed: true });
      };
    }
    expect((await put()).status).toBe(200);
    await node(A).kill();
    const { status, text } = await put('far');
    expect([status, JSON.parse(text).relayed]).toEqual([200, true]);
    expect(relayed).toEqual(['far']);
  });

  it('without the database are refused at once; one that may have been sent stays unknown', async () => {
    node(A).answerWrite = (_req, res) => node(A).problem(res, 503, 'storage-unavailable');
    const refused = await put();
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([503, 'storage-unavailable']);
    let calls = 0;
    node(A).answerWrite = (req, res) => {
      if (calls++ === 0) req.socket.resetAndDestroy();
      else node(A).problem(res, 503, 'storage-unavailable');
    };
    expect((await put()).status).toBe(504);
  });

  it("are called an operator's when the client gave the cluster's secret, and by nobody else", async () => {
    const seen: unknown[] = [];
    for (const it of nodes) {
      it.answerWrite = (req, res) => {
        seen.push([
          req.headers['holdfast-operator'],
          it.standingOf(req),
          req.headers['holdfast-cluster-key'],
        ]);
        it.json(res, 200, { version: 1, term: 1 });
      };
    }
    const secret = 'k'.repeat(32);
    const claims: Record<string, string>[] = [
      {},
      { 'holdfast-operator': '1' },
      { 'holdfast-cluster-key': secret },
    ];
    for (const headers of claims) {
      await ask(gateway.base, 'PUT', '/v1/namespaces/app/configs/a', { body: 'v', headers });
    }
    expect(seen).toEqual([
      [undefined, 'member', undefined],
      [undefined, 'member', undefined],
      ['1', 'member', undefined],
    ]);
    const guess = { 'holdfast-operator': '1', 'holdfast-cluster-key': 'guess' };
    const refused = await ask(gateway.base, 'PUT', '/v1/namespaces/app/configs/a', {
      body: 'v',
      headers: guess,
    });
    expect([refused.status, JSON.parse(refused.text).code, seen.length]).toEqual([403, 'forbidden', 3]);
  });

  it('pass on refusals as they are', async () => {
    node(A).answerWrite = (_req, res) => {
      res.setHeader('etag', '"9"');
      node(A).problem(res, 412, 'precondition-failed', { currentVersion: 9 });
    };
    const { status, text, headers } = await put();
    expect([status, JSON.parse(text).currentVersion, headers.etag]).toEqual([412, 9, '"9"']);
    expect(headers['content-type']).toBe('application/problem+json');
  });

  it('are refused unread when they are too large', async () => {
    const { status, text } = await put('x'.repeat(1024 * 1024 + 1));
    expect([status, JSON.parse(text).code]).toEqual([413, 'value-too-large']);
    expect((await put('x'.repeat(1024 * 1024))).status).toBe(200);
    expect(node(A).writes).toHaveLength(1);
  });

  it('with large bodies are read a few at a time, and one whose client left gives its place up', async () => {
    const held: (() => void)[] = [];
    node(A).answerWrite = (_req, res) => held.push(() => node(A).problem(res, 409, 'not-leader', {}));
    const large = 'x'.repeat(300 * 1024);
    const waiting = Array.from({ length: 8 }, () => put(large));
    await expect.poll(() => held.length).toBe(2);
    const left = Array.from({ length: 12 }, () => {
      const req = request(gateway.base + KEY, { method: 'PUT', headers: { 'content-length': large.length } });
      req.on('error', () => undefined);
      req.write('x');
      return new Promise<typeof req>((resolve) =>
        req.on('socket', (socket) => socket.once('connect', () => resolve(req))),
      );
    });
    for (const req of await Promise.all(left)) req.destroy();
    node(A).answerWrite = undefined;
    for (const answer of held) answer();
    const statuses = (await Promise.all(waiting)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(6);
    expect((await put(large)).status).toBe(200);
  });

  it('of clients that left are dropped', async () => {
    cluster.leaderId = null;
    await node(A).kill();
    const left = request(gateway.base + KEY, { method: 'PUT' });
    left.on('error', () => undefined);
    left.end('gone');
    const stays = put('stays');
    await pause(100);
    left.destroy();
    await pause(100);
    elect(B);
    expect((await stays).status).toBe(200);
    expect(cluster.log.map((it) => it.body)).toEqual(['stays']);
  });

  it('through a planned handover do not fail', async () => {
    let going = true;
    const statuses: number[] = [];
    const writer = async () => {
      while (going) statuses.push((await put()).status);
    };
    const writers = Promise.all(Array.from({ length: 8 }, writer));
    for (const next of [B, C, A]) {
      await pause(150);
      const from = nodes.find((it) => it.id === cluster.leaderId) as FakeNode;
      from.answerWrite = (_req, res) => from.problem(res, 503, 'no-leader');
      await pause(100);
      elect(next);
      from.answerWrite = undefined;
    }
    await pause(150);
    going = false;
    await writers;
    expect(statuses.length).toBeGreaterThan(10);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(cluster.log).toHaveLength(statuses.length);
  });
});
