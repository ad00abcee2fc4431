import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { StateBuilder } from '#libs/replica';
import { pause } from '#libs/testing';
import { longestWatch } from '../longest-watch.js';
import { type ApiLab, type ApiNode, openApiLab } from './api-lab.js';
import { bodyOf, configPath, OpenWatch, requestsTo, verdict } from './requests.js';

let lab: ApiLab;
let node: ApiNode;
const open: OpenWatch[] = [];

beforeAll(async () => {
  lab = await openApiLab();
  node = await lab.node('node-1');
  await lab.elect(node);
});
afterAll(async () => {
  for (const one of open) await one.close();
  await lab.close();
});

const { request, put, post, json } = requestsTo(() => node);
const head = () => node.engine.host.replica.version;
const versionOf = async (answer: ReturnType<typeof put>) => bodyOf(await answer).version as number;

async function watch(target: string, headers: Record<string, string> = {}, at = node): Promise<OpenWatch> {
  const one = await OpenWatch.open(at.address, target, headers);
  open.push(one);
  return one;
}

describe('a watch', () => {
  it('begins at once with a bookmark, then sends each change that matches, whole', async () => {
    const one = await watch('/v1/namespaces/w1/watch?prefix=db/');
    const begin = head();
    expect(one.response.headers.get('content-type')).toBe('text/event-stream');
    expect(one.response.headers.get('holdfast-node')).toBe('node-1');
    await one.until(1);
    const answer = await post('/v1/changes', {
      comment: 'why',
      operations: [
        { op: 'put', namespace: 'w1', key: 'db/b', value: 'AP8=', encoding: 'base64' },
        { op: 'put', namespace: 'w1', key: 'web', value: 'x' },
        { op: 'put', namespace: 'w2', key: 'db/b', value: 'x' },
        { op: 'put', namespace: 'w1', key: 'db/a', value: 'line\nbreak' },
      ],
    });
    const { version, createdAt } = bodyOf(answer);
    expect(await one.until(2)).toEqual([`bookmark ${begin}`, `change ${version}`]);
    expect(one.events[0]?.id).toBe(String(begin));
    expect(one.events[1]?.id).toBe(String(version));
    expect(one.events[1]?.json).toEqual({
      version,
      term: 1,
      author: null,
      comment: 'why',
      createdAt,
      operations: [
        {
          op: 'put',
          namespace: 'w1',
          key: 'db/b',
          value: 'AP8=',
          encoding: 'base64',
          contentType: 'text/plain',
          checksum: expect.stringMatching(/^sha256:/),
        },
        expect.objectContaining({ key: 'db/a', value: 'line\nbreak' }),
      ],
    });
  });

  it('resumes after a version, or after Last-Event-ID', async () => {
    const versions: number[] = [];
    for (const value of ['1', '2', '3'])
      versions.push(await versionOf(request('PUT', configPath('k', 'w3'), value)));
    const [first, second, third] = versions;
    const from = await watch(`/v1/namespaces/w3/watch?from=${first}`);
    expect(await from.until(3)).toEqual([`bookmark ${first}`, `change ${second}`, `change ${third}`]);
    const resumed = await watch(`/v1/namespaces/w3/watch?from=${first}`, { 'last-event-id': String(second) });
    expect(await resumed.until(2)).toEqual([`bookmark ${second}`, `change ${third}`]);
    const all = await watch('/v1/namespaces/w3/watch?from=0');
    expect(await all.until(4)).toEqual(['bookmark 0', ...versions.map((version) => `change ${version}`)]);
  });

  it('sends the present values first when asked to', async () => {
    for (const key of ['b', 'a', 'gone']) await request('PUT', configPath(key, 'w4'), key);
    await request('DELETE', configPath('gone', 'w4'));
    const at = head();
    const one = await watch('/v1/namespaces/w4/watch?initial=true');
    const names = await one.until(3);
    expect(names).toEqual([`put ${at}`, `put ${at}`, `bookmark ${at}`]);
    expect(one.events[0]?.json).toMatchObject({
      namespace: 'w4',
      key: 'a',
      value: 'a',
      contentType: 'text/plain',
    });
    const next = await versionOf(request('PUT', configPath('a', 'w4'), 'new'));
    expect((await one.until(4))[3]).toBe(`change ${next}`);
  });

  it('may be several at once', async () => {
    const one = await watch('/v1/watch?w=w5:a/&w=w6');
    await one.until(1);
    await request('PUT', configPath('b/x', 'w5'), 'x');
    const a = await versionOf(request('PUT', configPath('a/x', 'w5'), 'x'));
    const b = await versionOf(request('PUT', configPath('z', 'w6'), 'x'));
    expect((await one.until(3)).slice(1)).toEqual([`change ${a}`, `change ${b}`]);
  });

  it('waits with comments for a version that is not there yet', async () => {
    const from = head() + 2;
    const one = await watch(`/v1/namespaces/w7/watch?from=${from}`);
    await put('w7/elsewhere');
    await pause(100);
    expect(one.names).toEqual([]);
    expect(one.parser.comments).toBeGreaterThan(0);
    await request('PUT', configPath('a', 'w7'), '1');
    const after = await versionOf(request('PUT', configPath('a', 'w7'), '2'));
    expect(await one.until(2)).toEqual([`bookmark ${from}`, `change ${after}`]);
  });

  it('marks its place at least every 5 s', async () => {
    const one = await watch('/v1/namespaces/w8/watch');
    await one.until(1);
    await put('w8/elsewhere');
    await expect.poll(() => one.bookmarks.at(-1)?.json).toEqual({ version: head() });
  });

  it('that does not read is cut, told where to resume, and costs no memory', async () => {
    const begin = head();
    const slow = await pausedWatch(`${node.address}/v1/namespaces/w9/watch?from=${begin}`);
    const mib = Buffer.alloc(1024 * 1024, 'x');
    for (let i = 0; i < 24; i++) await request('PUT', configPath(`k${i}`, 'w9'), mib);
    await expect.poll(() => node.api.hub.counts.blocked).toBe(1);
    await expect.poll(() => node.api.hub.counts.blocked, { timeout: 15_000 }).toBe(0);
    const text = await slow.readAll();
    const versions = [...text.matchAll(/^id: (\d+)\nevent: change$/gm)].map((match) => Number(match[1]));
    expect(versions).toEqual(versions.map((_, i) => begin + 1 + i));
    expect(versions.length).toBeLessThan(24);
    const end = /event: end\ndata: (.*)/.exec(text)?.[1];
    // The end may not have fitted into what the client would take: then the stream just ends.
    if (end !== undefined) expect(JSON.parse(end)).toEqual({ version: versions.at(-1), reason: 'slow' });
    const rest = await watch(`/v1/namespaces/w9/watch?from=${versions.at(-1)}`);
    await rest.until(1 + 24 - versions.length, 10_000);
  }, 40_000);

  it('that reads late gets everything, once and in order', async () => {
    const begin = head();
    const late = await pausedWatch(`${node.address}/v1/namespaces/w10/watch?from=${begin}`);
    const value = Buffer.alloc(512 * 1024, 'x');
    for (let i = 0; i < 24; i++) await request('PUT', configPath(`k${i}`, 'w10'), value);
    const last = head();
    const text = await late.readUntil(`id: ${last}\nevent: change`);
    const versions = [...text.matchAll(/^id: (\d+)\nevent: change$/gm)].map((match) => Number(match[1]));
    expect(versions).toEqual(Array.from({ length: 24 }, (_, i) => begin + 1 + i));
  }, 20_000);

  it('ends with `draining` when the node stops', async () => {
    const other = await lab.node('node-2');
    await expect.poll(() => other.engine.host.replica.version, { timeout: 30_000 }).toBe(head());
    const one = await watch('/v1/namespaces/w11/watch', {}, other);
    await one.until(1);
    const at = other.engine.host.replica.version;
    await other.stop();
    await one.ended;
    expect(one.events.at(-1)).toMatchObject({ event: 'end', json: { version: at, reason: 'draining' } });
  });

  it('goes on from any node', async () => {
    const first = await versionOf(request('PUT', configPath('a', 'w12'), '1'));
    const other = await lab.node('node-3');
    const one = await watch(`/v1/namespaces/w12/watch?from=${first}`, {}, other);
    const second = await versionOf(request('PUT', configPath('a', 'w12'), '2'));
    expect(await one.until(2, 10_000)).toEqual([`bookmark ${first}`, `change ${second}`]);
    await one.close();
    await other.stop();
  });

  it.each([
    ['/v1/namespaces/app/watch?from=x', 400, 'invalid-request'],
    ['/v1/namespaces/app/watch?initial=1', 400, 'invalid-request'],
    ['/v1/namespaces/app/watch?x=1', 400, 'invalid-request'],
    ['/v1/namespaces/App/watch', 422, 'invalid-key'],
    ['/v1/watch', 400, 'invalid-request'],
    ['/v1/watch?w=App:x', 422, 'invalid-key'],
  ])('%s: %i', async (target, status, code) => {
    expect(verdict(await request('GET', target))).toEqual([status, code]);
  });

  it('report 12: has room for as many watches as are allowed, with the longest prefixes', async () => {
    const answer = await request('GET', longestWatch(), undefined, { accept: 'application/json' });
    expect([answer.status, bodyOf(answer)]).toEqual([200, { version: head(), changes: [] }]);
  });

  it('must be accepted', async () => {
    const answer = await request('GET', '/v1/namespaces/app/watch', null, { accept: 'application/json' });
    expect(verdict(answer)).toEqual([406, 'not-acceptable']);
    expect((await request('HEAD', '/v1/namespaces/app/watch')).status).toBe(405);
  });
});

describe('a long poll', () => {
  const poll = (query: string) =>
    request('GET', `/v1/namespaces/p1/watch?${query}`, null, { accept: 'application/json' });

  it('answers with what has come, or waits for it', async () => {
    const first = await versionOf(request('PUT', configPath('a', 'p1'), '1'));
    const at = await poll(`from=${first - 1}&wait=30s`);
    expect(at.headers['content-type']).toMatch(/^application\/json/);
    expect(at.headers['holdfast-version']).toBe(String(first));
    expect(bodyOf(at)).toMatchObject({
      version: first,
      changes: [{ version: first, operations: [{ key: 'a' }] }],
    });
    const waiting = poll(`from=${first}&wait=30s`);
    await pause(50);
    const second = await versionOf(request('PUT', configPath('a', 'p1'), '2'));
    expect(bodyOf(await waiting)).toMatchObject({ version: second, changes: [{ version: second }] });
    await put('p1/elsewhere');
    expect(bodyOf(await poll(`from=${second}&wait=50ms`))).toEqual({ version: head(), changes: [] });
    expect(bodyOf(await poll(`from=${head() + 5}&wait=50ms`)).version).toBe(head() + 5);
    const several = await json(`/v1/watch?w=p1:a&w=p2&from=${first - 1}&wait=1s`);
    expect(several.changes).toHaveLength(2);
  });
});

describe('a history that is gone or was another', () => {
  it('is told as a reset, and to a long poll as 410', async () => {
    const other = await lab.node('node-4');
    await expect.poll(() => other.engine.host.replica.version, { timeout: 30_000 }).toBe(head());
    const one = await watch('/v1/namespaces/r1/watch', {}, other);
    const far = await watch(`/v1/namespaces/r1/watch?from=${head() + 50}`, {}, other);
    await one.until(1);
    const polling = other.client.request('GET', '/v1/namespaces/r1/watch?wait=20s');
    await expect.poll(() => other.api.hub.counts.longPolls).toBe(1);
    const { replica } = other.engine.host;
    const { clusterId, version, chain, term } = replica;
    other.engine.host.load({ clusterId, version, chain, term }, new StateBuilder(), 'diverged');
    expect(verdict(await polling)).toEqual([410, 'version-compacted']);
    for (const cut of [one, far]) {
      await cut.ended;
      expect(cut.events.at(-1)).toMatchObject({ event: 'reset', json: { version, reason: 'diverged' } });
    }
    await other.stop();
  });

  it('report 7: of a version that the database never had is told as a reset, soon', async () => {
    const from = head() + 3_000;
    const stream = await watch(`/v1/namespaces/r2/watch?from=${from}`);
    await stream.ended;
    expect(stream.events.at(-1)).toMatchObject({
      event: 'reset',
      json: { version: head(), reason: 'diverged' },
    });
    const polled = await request('GET', `/v1/namespaces/r2/watch?from=${from}&wait=30s`);
    expect(verdict(polled)).toEqual([410, 'version-compacted']);
    expect(bodyOf(polled)).toMatchObject({ version: head(), reason: 'diverged' });
  });
});

describe('report 3: a watcher of one namespace', () => {
  it('reads of a long log what concerns it, and answers without waiting for the rest', async () => {
    const begin = head();
    const mine = await versionOf(request('PUT', configPath('mine', 'r3'), '1'));
    for (let i = 0; i < 16; i++) {
      await request('PUT', configPath(`k${i}`, 'others'), Buffer.alloc(1024 * 1024, i));
    }
    const other = await lab.node('node-5');
    const { replica } = other.engine.host;
    await expect.poll(() => replica.version, { timeout: 30_000 }).toBe(head());
    // It forgets the log, as a node does that loads a whole state.
    const { clusterId, version, chain, term } = replica;
    other.engine.host.load({ clusterId, version, chain, term }, new StateBuilder(), 'compacted');
    expect(replica.changesAfter(begin, 1, 1)).toBe('compacted');
    const { log } = other.store;
    const pages = vi.spyOn(log, 'touching');
    const whole = vi.spyOn(log, 'retainedAfter');

    const target = `/v1/namespaces/r3/watch?from=${begin}`;
    const polled = await other.client.request('GET', `${target}&wait=0s`);
    expect(bodyOf(polled)).toMatchObject({ version: head(), changes: [{ version: mine }] });
    const stream = await watch(target, {}, other);
    expect(await stream.until(2)).toEqual([`bookmark ${begin}`, `change ${mine}`]);
    // The first two pages, a mebibyte each, are of all namespaces: those who have little to catch up with share them.
    expect(whole).toHaveBeenCalledTimes(2);
    expect(pages).toHaveBeenCalledTimes(1);
    await other.stop();
  });
});

/** A client that holds a stream open without reading it until it is told to. */
async function pausedWatch(url: string) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest(url, resolve).on('error', reject).end();
  });
  response.pause();
  let text = '';
  const readUntil = async (mark: string | undefined) => {
    for await (const chunk of response) {
      text += chunk;
      if (mark !== undefined && text.includes(mark)) break;
    }
    return text;
  };
  return {
    readAll: () => readUntil(undefined).catch(() => text),
    readUntil,
  };
}
