import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
  // It asks one of them how to balance.
  await expect.poll(() => nodes.some((it) => it.lists.length > 0)).toBe(true);
});
afterEach(async () => {
  await gateway.stop();
  for (const node of nodes) await node.kill();
});

const [A, B] = [0, 1] as const;
const node = (index: number) => nodes[index] as FakeNode;
const KEY = '/v1/namespaces/app/configs/a/b?minVersion=0';

describe('reads through the gateway', () => {
  it('are shared by all nodes and come back as the node gave them', async () => {
    const answers = [];
    for (let i = 0; i < 30; i++) answers.push(await ask(gateway.base, 'GET', KEY));
    expect(nodes.map((it) => it.reads.length)).toEqual([10, 10, 10]);
    expect(new Set(nodes.flatMap((it) => it.reads))).toEqual(new Set([KEY]));
    for (const { status, headers, text } of answers) {
      expect(status).toBe(200);
      expect(text).toBe(`value at ${headers['holdfast-node']}`);
      expect(headers).toMatchObject({ etag: '"1"', 'holdfast-version': '0', 'holdfast-term': '1' });
      expect(headers['x-request-id']).toBeTruthy();
    }
  });

  it('pass on what the client says, and nothing that only the cluster may say', async () => {
    await ask(gateway.base, 'GET', KEY, {
      headers: {
        'if-none-match': '"1"',
        'holdfast-cluster-key': 'k'.repeat(32),
        'holdfast-forwarded': '1',
        'x-request-id': 'r-1',
      },
    });
    const [headers] = nodes.flatMap((it) => it.readHeaders);
    expect(headers).toMatchObject({ 'if-none-match': '"1"', 'x-request-id': 'r-1' });
    expect(headers).not.toHaveProperty('holdfast-forwarded');
    expect(headers).not.toHaveProperty('holdfast-cluster-key');
    // the gateway's own proof, by which a node knows it
    expect(headers?.['holdfast-signature']).toMatch(/^r1\./);
  });

  it('survive the loss of nodes while one lives', async () => {
    await node(B).kill();
    for (let i = 0; i < 20; i++) expect((await ask(gateway.base, 'GET', KEY)).status).toBe(200);
    await node(A).kill();
    for (let i = 0; i < 20; i++) {
      const { status, text } = await ask(gateway.base, 'GET', KEY);
      expect([status, text]).toEqual([200, 'value at node-3']);
    }
    expect((await ask(gateway.base, 'GET', '/health')).status).toBe(200);
  });

  it('that were in flight on a node that died are answered by another', async () => {
    node(A).frozen = true;
    node(B).frozen = true;
    const under = Array.from({ length: 9 }, () => ask(gateway.base, 'GET', KEY));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await node(A).kill();
    await node(B).kill();
    for (const { status, text } of await Promise.all(under)) {
      expect([status, text]).toEqual([200, 'value at node-3']);
    }
  });

  it('do not wait for a node that is frozen', async () => {
    node(A).frozen = true;
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(gateway.base, 'GET', KEY)));
    expect(answers.map((it) => it.status)).toEqual(Array(60).fill(200));
    expect(Math.max(...answers.map((it) => it.ms))).toBeLessThan(5_000);
    const before = node(A).received;
    await Promise.all(Array.from({ length: 9 }, () => ask(gateway.base, 'GET', KEY)));
    expect(node(A).received).toBe(before);
  });

  it('wait as long as the client asked when the node lives', async () => {
    for (const it of nodes) {
      it.answerRead = (_req, res) => setTimeout(() => it.json(res, 200, { waited: true }), 1_500);
    }
    const { status, ms } = await ask(gateway.base, 'GET', KEY);
    expect(status).toBe(200);
    expect(ms).toBeGreaterThan(1_400);
    expect(nodes.flatMap((it) => it.reads)).toHaveLength(1);
  });

  it('go on when nodes stop one after the other', async () => {
    node(A).stopping = true;
    node(B).stopping = true;
    for (let i = 0; i < 9; i++) {
      expect((await ask(gateway.base, 'GET', KEY)).text).toBe('value at node-3');
    }
  });

  it('go on when one node alone is cut off from the database', async () => {
    node(A).answerRead = (_req, res) => node(A).problem(res, 503, 'storage-unavailable');
    for (let i = 0; i < 9; i++) expect((await ask(gateway.base, 'GET', KEY)).status).toBe(200);
  });

  it('get the error of the node, and a clear one when there is no node', async () => {
    for (const it of nodes)
      it.answerRead = (_req, res) => it.problem(res, 503, 'storage-unavailable', { x: 1 });
    const refused = await ask(gateway.base, 'GET', KEY);
    expect([refused.status, JSON.parse(refused.text)]).toEqual([
      503,
      expect.objectContaining({ code: 'storage-unavailable', x: 1 }),
    ]);
    expect(nodes.flatMap((it) => it.reads)).toHaveLength(2); // one other node is asked, not all of them
    for (const it of nodes) await it.kill();
    const nobody = await ask(gateway.base, 'GET', KEY);
    expect(JSON.parse(nobody.text)).toMatchObject({ status: 503, code: 'no-available-node', instance: KEY });
    expect(nobody.headers['content-type']).toBe('application/problem+json');
    expect(nobody.headers['x-request-id']).toBeTruthy();
  });

  it('never give half an answer for a whole one', async () => {
    for (const it of nodes) {
      it.answerRead = (req, res) => {
        res.writeHead(200, { 'content-length': 1_000_000 });
        res.write(Buffer.alloc(300_000));
        setTimeout(() => req.socket.resetAndDestroy(), 50);
      };
    }
    await expect(ask(gateway.base, 'GET', KEY)).rejects.toThrow();
  });

  it('of large values are not held up by nodes that stall in the middle of others', async () => {
    const size = 1024 * 1024;
    let asked = 0;
    for (const it of nodes) {
      it.answerRead = (_req, res) => {
        res.writeHead(200, { 'content-length': size });
        if (++asked <= 2) res.write(Buffer.alloc(1_000));
        else res.end(Buffer.alloc(size));
      };
    }
    const requests = [1, 2].map(() => request(gateway.base + KEY, (res) => res.resume()).end());
    const stalled = requests.map(
      (req) =>
        new Promise<string>((resolve) =>
          req.on('close', () => resolve('stalled')).on('error', () => undefined),
        ),
    );
    await expect.poll(() => asked).toBe(2);
    const whole = ask(gateway.base, 'GET', KEY).then(({ text }) => text.length);
    expect(await Promise.race([whole, ...stalled])).toBe(size);
    for (const req of requests) req.destroy();
  });

  it('of large values do not pile up in the gateway when the client is slow, and come whole', async () => {
    const size = 64 * 1024 * 1024;
    let written = 0;
    for (const it of nodes) {
      it.answerRead = (_req, res) => {
        res.writeHead(200, { 'content-length': size });
        const more = () => {
          while (written < size) {
            written += 65_536;
            if (!res.write(Buffer.alloc(65_536))) {
              res.once('drain', more);
              return;
            }
          }
          res.end();
        };
        more();
      };
    }
    const received = await new Promise<number>((resolve, reject) => {
      request(gateway.base + KEY, (res) => {
        setTimeout(() => {
          expect(written).toBeLessThan(size / 2);
          let bytes = 0;
          res.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
          });
          res.on('end', () => resolve(bytes));
        }, 500);
      })
        .on('error', reject)
        .end();
    });
    expect(received).toBe(size);
  });

  it('end at the node when the client leaves, and every counter returns to zero', async () => {
    let closed = 0;
    for (const it of nodes) {
      it.answerRead = (req) => {
        req.socket.once('close', () => {
          closed += 1;
        });
      };
    }
    const requests = Array.from({ length: 30 }, () =>
      request(gateway.base + KEY)
        .on('error', () => undefined)
        .end(),
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const one of requests) one.destroy();
    await expect.poll(() => closed).toBe(30);
    const metrics = await ask(gateway.base, 'GET', '/metrics');
    expect(metrics.text).toMatch(/holdfast_gateway_reads_under_way\{[^}]*\} 0/);
  });

  it('answer HEAD and 304 without a body, on connections that stay open', async () => {
    for (let i = 0; i < 30; i++) {
      const { status, text, headers } = await ask(gateway.base, 'HEAD', KEY);
      expect([status, text, headers['content-length']]).toEqual([200, '', '15']);
    }
    expect(Math.max(...nodes.map((it) => it.connections))).toBeLessThan(5);
    for (const it of nodes) it.answerRead = (_req, res) => res.writeHead(304, { etag: '"1"' }).end();
    expect((await ask(gateway.base, 'GET', KEY)).status).toBe(304);
  });
});

describe('the gateway keeps foreign pages out', () => {
  it.each([
    [{ host: 'evil.example' }, 403],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: '' }, 403],
    [{}, 200],
  ] as const)('%j gets %d', async (headers, status) => {
    expect((await ask(gateway.base, 'GET', KEY, { headers: { ...headers } })).status).toBe(status);
  });

  it.each([
    '/internal/log?after=0',
    '/%69nternal/log?after=0',
    '/v1/../internal/log?after=0',
    '/v1/namespaces/../../internal/log?after=0',
    '/v1/changes/../../internal/log?after=0',
    '/sync',
  ])('lends its key to nobody: %s does not reach a door of the cluster', async (path) => {
    const { status } = await ask(gateway.base, 'GET', path);
    expect([403, 404]).toContain(status);
    for (const it of nodes) expect(it.reads).toEqual([]);
  });

  it('knows the methods of each path', async () => {
    const answer = await ask(gateway.base, 'PATCH', '/v1/namespaces/app/configs/a');
    expect([answer.status, answer.headers.allow]).toEqual([405, 'DELETE, GET, HEAD, PUT']);
    expect((await ask(gateway.base, 'POST', '/v1/nodes/node-1/paint', { body: '{}' })).status).toBe(404);
  });
});
