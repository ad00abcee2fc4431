import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient, FaultProxy, until } from '#libs/testing';
import { type ApiLab, type ApiNode, openApiLab } from './api-lab.js';
import { longestTurnMs } from './longest-turn.js';
import { postFromThread } from './posting-thread.js';
import { sendRaw } from './raw-request.js';
import { bodyOf, configPath, requestsTo, verdict } from './requests.js';

let lab: ApiLab;
let node: ApiNode;

beforeAll(async () => {
  lab = await openApiLab();
  node = await lab.node('node-1');
  await lab.elect(node);
});
afterAll(() => lab.close());

const { request, put, post } = requestsTo(() => node);
const MiB = 1024 * 1024;
/** CPU time of one turn of the event loop. In one piece these requests took from 200 ms to some seconds. */
const LONGEST_TURN_MS = 120;
const LISTING = '/v1/namespaces/controls/configs?limit=1000';

/** A value whose every byte is valid UTF-8 and takes six bytes as a JSON string. */
const controls = Buffer.alloc(MiB - 1, '\u0001');

describe('finding 6a: listings of values that are large in JSON', () => {
  beforeAll(async () => {
    for (const key of ['a', 'b', 'c', 'd']) {
      const { status } = await request('PUT', configPath(key, 'controls'), controls);
      expect(status).toBe(201);
    }
  });

  it('take at most twice the bytes of the values', async () => {
    for (const target of [LISTING, '/v1/changes?after=0']) {
      const { status, body } = await request('GET', target);
      expect(status).toBe(200);
      expect(body.length).toBeLessThan(2 * 4 * MiB);
    }
    const { items } = bodyOf(await request('GET', LISTING));
    expect(items).toHaveLength(4);
    for (const { value, encoding } of items) {
      expect(encoding).toBe('base64');
      expect(Buffer.from(value, 'base64').equals(controls)).toBe(true);
    }
  });

  it('are encoded a few at a time and in slices: 80 at once hold up nobody and depose nobody', async () => {
    const { term } = await lab.storage.store.readHead();
    await put('calm', 'x');
    let under = true;
    const reads = new Set<number>();
    const { result: listings, longestMs } = await longestTurnMs(async () => {
      const asked = Promise.all(Array.from({ length: 80 }, () => request('GET', LISTING))).finally(() => {
        under = false;
      });
      while (under) reads.add((await request('GET', configPath('calm'))).status);
      return asked;
    });
    const verdicts = listings.map(verdict);
    expect(new Set(verdicts.map(String))).toEqual(new Set(['200,', '429,cluster-busy']));
    expect(listings.filter(({ status }) => status === 429).every((one) => one.headers['retry-after'])).toBe(
      true,
    );
    expect([...reads]).toEqual([200]);
    expect(longestMs).toBeLessThan(LONGEST_TURN_MS);
    expect(await lab.storage.store.readHead()).toMatchObject({ term, leaderId: 'node-1' });
  }, 60_000);
});

describe('report 9c: more histories and differences at once than the database has connections for', () => {
  it('are 429 beyond what can wait, and never called an outage of the database', async () => {
    for (const text of ['one', 'two', 'three'])
      expect((await put('versions', text)).status).toBeLessThan(300);
    const { version } = bodyOf(await put('versions', 'four'));
    const proxy = await FaultProxy.start({ host: lab.storage.server.host, port: lab.storage.server.port });
    const far = await lab.node('node-far', { database: { host: '127.0.0.1', port: proxy.port } });
    await until('it has the values', () => far.engine.host.replica.version >= version, 10_000);
    proxy.delay(10); // each way: a database in another place, which answers all the same
    const targets = ['history/versions', 'diff/versions', `configs/versions?version=${version + 1}`];
    const many = new ApiClient(far.address, 800);
    const answers = await Promise.all(
      Array.from({ length: 800 }, (_, i) => many.request('GET', `/v1/namespaces/app/${targets[i % 3]}`)),
    );
    await many.close();
    await far.stop();
    await proxy.close();
    const verdicts = new Set(answers.map((answer) => String(verdict(answer))));
    expect(verdicts).toEqual(new Set(['200,', '404,version-not-found', '429,cluster-busy']));
  }, 60_000);
});

describe('finding 6b: large bodies', () => {
  it('of 8 MiB, 24 at once, delay nobody else and cost the leader nothing', async () => {
    const { term } = await lab.storage.store.readHead();
    await put('calm', 'x');
    const operation = (i: number) => ({ op: 'put', namespace: 'padded', key: `p${i}`, value: 'x' });
    const texts = Array.from({ length: 24 }, (_, i) => JSON.stringify({ operations: [operation(i)] }));
    let under = true;
    const [writes, reads] = [new Set<number>(), new Set<number>()];
    const { result: answers, longestMs } = await longestTurnMs(async () => {
      const asked = postFromThread(`${node.address}/v1/changes`, texts, 8 * MiB).finally(() => {
        under = false;
      });
      while (under) {
        writes.add((await put('calm', 'y')).status);
        reads.add((await request('GET', configPath('calm'))).status);
      }
      return asked;
    });
    expect(answers).toContain(200);
    expect(answers.filter((status) => status !== 200 && status !== 429)).toEqual([]);
    expect([...writes]).toEqual([200]);
    expect([...reads]).toEqual([200]);
    expect(longestMs).toBeLessThan(LONGEST_TURN_MS);
    expect(await lab.storage.store.readHead()).toMatchObject({ term, leaderId: 'node-1' });
  }, 60_000);

  it.each([
    ['line ends', '\n'.repeat(MiB)],
    ['umlauts', 'ü'.repeat(MiB / 2)],
  ])('of 4 MiB of %s are taken in slices', async (name, value) => {
    const operations = ['a', 'b', 'c', 'd'].map((key) => ({ op: 'put', namespace: 'large', key, value }));
    if (Buffer.byteLength(JSON.stringify({ operations })) > 8 * MiB) operations.pop();
    const { result, longestMs } = await longestTurnMs(() => post('/v1/changes', { operations }));
    expect([name, verdict(result)]).toEqual([name, [200, undefined]]);
    expect(longestMs).toBeLessThan(LONGEST_TURN_MS);
  });

  it('are refused before they come when the node does not lead', async () => {
    const follower = await lab.node('node-2');
    const [, port] = follower.address.split(/:(?=\d+$)/);
    const announced = Buffer.from(
      'POST /v1/changes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n' +
        `Content-Length: ${8 * MiB}\r\n\r\n`,
    );
    expect(await sendRaw(Number(port), announced)).toMatchObject({ status: 421 });
    await follower.stop();
  });
});
