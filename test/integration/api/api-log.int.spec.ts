import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pinState, StateBuilder } from '#libs/replica';
import { type ApiClient, FaultProxy } from '#libs/testing';
import { type ApiLab, type ApiNode, CLUSTER_KEY, openApiLab } from './api-lab.js';
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

const { request, put, post, json } = requestsTo(() => node);

describe('a listing', () => {
  const list = (query: string, namespace = 'list') =>
    request('GET', `/v1/namespaces/${namespace}/configs?${query}`);
  const keys = (page: { items: { key: string }[] }) => page.items.map(({ key }) => key);
  const fill = (entries: Record<string, string>) =>
    post('/v1/changes', {
      operations: Object.entries(entries).map(([key, value]) => ({
        op: 'put',
        namespace: 'list',
        key,
        value,
      })),
    });

  it('shows values, types, versions and times, ordered by the bytes of the keys', async () => {
    await fill({ ä: '1', z: '2', a: '3', 'a/b': '4', '\u{1F600}': '5', '\uFFFD': '6' });
    const page = bodyOf(await list(''));
    expect(keys(page)).toEqual(['a', 'a/b', 'z', 'ä', '\uFFFD', '\u{1F600}']);
    expect(page.items[0]).toEqual({
      key: 'a',
      value: '3',
      contentType: 'text/plain',
      version: page.version,
      checksum: expect.stringMatching(/^sha256:/),
      updatedAt: expect.stringMatching(/Z$/),
    });
    expect(page.cursor).toBeUndefined();
    expect(keys(bodyOf(await list('prefix=a')))).toEqual(['a', 'a/b']);
    expect(bodyOf(await list('values=false&limit=1')).items[0].value).toBeUndefined();
  });

  it('has values that are not text in base64', async () => {
    await request('PUT', configPath('bytes', 'list'), Buffer.from([0xff, 0]), {
      'content-type': 'application/octet-stream',
    });
    const { items } = bodyOf(await list('prefix=bytes'));
    expect(items[0]).toMatchObject({ value: '/wA=', encoding: 'base64' });
  });

  it('is of one version over all its pages, whatever happens meanwhile', async () => {
    await fill(
      Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`page/${String(i).padStart(2, '0')}`, 'old'])),
    );
    let page = bodyOf(await list('prefix=page/&limit=10'));
    const { version } = page;
    const items = [...page.items];
    await fill({ 'page/15': 'new', 'page/99': 'new' });
    await request('DELETE', configPath('page/20', 'list'));
    while (page.cursor !== undefined) {
      page = bodyOf(await list(`prefix=page/&limit=10&cursor=${page.cursor}`));
      expect(page.version).toBe(version);
      items.push(...page.items);
    }
    expect(items).toHaveLength(25);
    expect(items.every(({ value }) => value === 'old')).toBe(true);
  });

  it('ends a page at 4 MiB', async () => {
    const mib = Buffer.alloc(1024 * 1024, 'x');
    for (let i = 0; i < 6; i++) await request('PUT', configPath(`large/${i}`, 'list'), mib);
    const first = bodyOf(await list('prefix=large/'));
    expect(keys(first)).toHaveLength(4);
    expect(keys(bodyOf(await list(`prefix=large/&cursor=${first.cursor}`)))).toHaveLength(2);
  });

  it('of an unknown namespace is empty; waits for a version', async () => {
    expect(bodyOf(await list('', 'unknown'))).toEqual({ version: expect.any(Number), items: [] });
    const { version } = bodyOf(await list(''));
    const waiting = list(`minVersion=${version + 1}`);
    await fill({ a: '9' });
    expect((await waiting).status).toBe(200);
    expect(verdict(await list(`minVersion=${version + 1_000}&timeout=20ms`))).toEqual([
      504,
      'version-not-reached',
    ]);
    expect((await list('consistency=linearizable')).status).toBe(200);
  });

  it.each(['limit=0', 'limit=1001', 'limit=x', 'cursor=x', 'values=maybe', 'prefix=%ff', 'x=1'])(
    '%s: 400',
    async (query) => {
      expect(verdict(await list(query))).toEqual([400, 'invalid-request']);
    },
  );

  it('at a version that the node no longer remembers answers 410', async () => {
    const fresh = await lab.node('node-fresh');
    const { replica } = node.engine.host;
    const { clusterId, version, chain, term } = replica;
    fresh.engine.host.load({ clusterId, version, chain, term }, new StateBuilder(), 'compacted');
    const cursor = Buffer.from(JSON.stringify(['list', '', 1, 'a'])).toString('base64url');
    const answer = await fresh.client.request('GET', `/v1/namespaces/list/configs?cursor=${cursor}`);
    expect(verdict(answer)).toEqual([410, 'cursor-expired']);
    await fresh.stop();
  });
});

describe('POST /v1/changes', () => {
  it('is one atomic change set of one version', async () => {
    await put('set/gone');
    const answer = await post('/v1/changes', {
      comment: 'both',
      operations: [
        {
          op: 'put',
          namespace: 'app',
          key: 'set/a',
          value: '{}',
          contentType: 'application/json',
          ifVersion: 0,
        },
        { op: 'put', namespace: 'other', key: 'set/b', value: 'AP8=', encoding: 'base64' },
        { op: 'delete', namespace: 'app', key: 'set/gone' },
      ],
    });
    const { version } = bodyOf(answer);
    expect([answer.status, bodyOf(answer)]).toEqual([
      200,
      {
        version,
        term: 1,
        createdAt: expect.stringMatching(/Z$/),
        results: [
          { namespace: 'app', key: 'set/a', op: 'put', version },
          { namespace: 'other', key: 'set/b', op: 'put', version },
          { namespace: 'app', key: 'set/gone', op: 'delete', version },
        ],
      },
    ]);
    expect((await request('GET', configPath('set/b', 'other'))).body).toEqual(Buffer.from([0, 255]));
    const { changes } = await json(`/v1/changes?after=${version - 1}`);
    expect(changes[0]).toMatchObject({ version, comment: 'both' });
  });

  it('happens as a whole or not at all', async () => {
    const before = node.engine.host.replica.version;
    const one = { op: 'put', namespace: 'app', key: 'set/all', value: 'x' };
    const refused: [unknown[], [number, string]][] = [
      [
        [one, { op: 'delete', namespace: 'app', key: 'set/absent' }],
        [404, 'key-not-found'],
      ],
      [
        [one, { ...one, key: 'set/a', ifVersion: 0 }],
        [412, 'precondition-failed'],
      ],
      [
        [one, { ...one, key: 'set/a', ifVersion: 1 }],
        [412, 'precondition-failed'],
      ],
      [
        [one, one],
        [422, 'duplicate-key'],
      ],
      [
        [one, { ...one, key: '' }],
        [422, 'invalid-key'],
      ],
      [
        [one, { ...one, key: 'j', value: '{', contentType: 'application/json' }],
        [422, 'invalid-value'],
      ],
      [
        [one, { ...one, namespace: 'system', key: 'x' }],
        [403, 'forbidden'],
      ],
    ];
    for (const [operations, expected] of refused) {
      expect(verdict(await post('/v1/changes', { operations }))).toEqual(expected);
    }
    expect(node.engine.host.replica.version).toBe(before);
    expect(verdict(await request('GET', configPath('set/all')))).toEqual([404, 'key-not-found']);
  });

  it('names the operation that is at fault', async () => {
    const answer = await post('/v1/changes', {
      operations: [
        { op: 'put', namespace: 'app', key: 'fine', value: '{}', contentType: 'application/json' },
        { op: 'put', namespace: 'app', key: 'bad', value: 'a: [', contentType: 'application/yaml' },
      ],
    });
    expect(bodyOf(answer)).toMatchObject({ code: 'invalid-value', operation: 1, key: 'bad', line: 1 });
    const fine = { op: 'put', namespace: 'app', key: 'fine', value: '' };
    const absent = { op: 'delete', namespace: 'app', key: 'set/absent' };
    expect(bodyOf(await post('/v1/changes', { operations: [fine, absent] }))).toMatchObject({
      code: 'key-not-found',
      operation: 1,
      key: 'set/absent',
    });
    expect(
      bodyOf(await post('/v1/changes', { operations: [{ ...fine, key: 'set/new', ifVersion: 1 }] })),
    ).toMatchObject({ code: 'precondition-failed', operation: 0, currentVersion: null });
  });

  it('demands JSON: 415; that is JSON: 400; with nothing unknown: 422', async () => {
    const body = JSON.stringify({ operations: [{ op: 'put', namespace: 'app', key: 'x', value: 'x' }] });
    for (const type of [undefined, 'text/plain', 'application/x-www-form-urlencoded', 'application/yaml']) {
      expect(verdict(await request('POST', '/v1/changes', body, { 'content-type': type }))).toEqual([
        415,
        'unsupported-content-type',
      ]);
    }
    const jsonType = { 'content-type': 'application/json; charset=utf-8' };
    expect((await request('POST', '/v1/changes', body, jsonType)).status).toBe(200);
    expect(verdict(await request('POST', '/v1/changes', '{', jsonType))).toEqual([400, 'invalid-request']);
    expect(verdict(await post('/v1/changes', { operations: [], x: 1 }))).toEqual([422, 'invalid-field']);
    expect(verdict(await request('POST', '/v1/changes', Buffer.alloc(9_000_000, ' '), jsonType))).toEqual([
      413,
      'value-too-large',
    ]);
  });

  it('with an Idempotency-Key happens once', async () => {
    const body = { operations: [{ op: 'put', namespace: 'app', key: 'set/once', value: 'x' }] };
    const headers = { 'idempotency-key': 'set-once' };
    const first = await post('/v1/changes', body, headers);
    expect(bodyOf(await post('/v1/changes', body, headers))).toEqual(bodyOf(first));
  });
});

describe('GET /v1/changes', () => {
  it('is the log after a version, of one namespace if asked', async () => {
    const { version } = bodyOf(
      await put('log/a', '1', { 'holdfast-author': 'ann', 'holdfast-comment': 'why' }),
    );
    await post('/v1/changes', {
      operations: [
        { op: 'put', namespace: 'log-other', key: 'x', value: 'y' },
        { op: 'delete', namespace: 'app', key: 'log/a' },
      ],
    });
    const page = await json(`/v1/changes?after=${version - 1}`);
    expect(page).toMatchObject({
      head: version + 1,
      changes: [
        {
          version,
          term: 1,
          author: 'ann',
          comment: 'why',
          createdAt: expect.stringMatching(/Z$/),
          operations: [{ op: 'put', namespace: 'app', key: 'log/a', value: '1', contentType: 'text/plain' }],
        },
        { version: version + 1 },
      ],
    });
    expect((await json(`/v1/changes?after=${version - 1}&limit=1`)).changes).toHaveLength(1);
    const other = await json(`/v1/changes?after=${version - 1}&namespace=log-other`);
    expect(other.changes).toMatchObject([{ version: version + 1, operations: [{ key: 'x' }] }]);
    expect(await json('/v1/changes?after=1000000')).toEqual({ changes: [], head: version + 1 });
  });

  it.each(['after=-1', 'after=x', 'limit=0', 'limit=1001', 'x=1'])('%s: 400', async (query) => {
    expect(verdict(await request('GET', `/v1/changes?${query}`))).toEqual([400, 'invalid-request']);
  });
});

describe('the history of a key', () => {
  it('shows every version, newest first, in pages', async () => {
    const versions: number[] = [];
    for (const value of ['1', '2', '3']) versions.push(bodyOf(await put('history/a', value)).version);
    versions.push(bodyOf(await request('DELETE', configPath('history/a'))).version);
    const whole = await json('/v1/namespaces/app/history/history/a');
    expect(whole.items.map((item: { version: number }) => item.version)).toEqual([...versions].reverse());
    expect(whole.items[0]).toMatchObject({ op: 'delete' });
    expect(whole.items[1]).toMatchObject({ op: 'put', contentType: 'text/plain', sizeBytes: 1, term: 1 });
    const first = await json('/v1/namespaces/app/history/history/a?limit=3');
    const rest = await json(`/v1/namespaces/app/history/history/a?limit=3&cursor=${first.cursor}`);
    expect([...first.items, ...rest.items]).toEqual(whole.items);
    expect(rest.cursor).toBeUndefined();
    expect(await json('/v1/namespaces/app/history?key=history%2Fa')).toEqual(whole);
  });

  it('of a key that never was: 404', async () => {
    expect(verdict(await request('GET', '/v1/namespaces/app/history/never'))).toEqual([404, 'key-not-found']);
    expect(verdict(await request('GET', '/v1/namespaces/app/history/never?cursor=x'))).toEqual([
      400,
      'invalid-request',
    ]);
  });
});

describe('a diff', () => {
  it('is unified text between two versions', async () => {
    const one = bodyOf(await put('diff/a', 'a\nb\n')).version;
    const two = bodyOf(await put('diff/a', 'a\nc\n')).version;
    const answer = await request('GET', `/v1/namespaces/app/diff/diff/a?from=${one}&to=${two}`);
    expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    expect(answer.body.toString()).toBe(
      `--- app/diff/a@${one}\n+++ app/diff/a@${two}\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n`,
    );
    const latest = await request('GET', '/v1/namespaces/app/diff/diff/a');
    expect(latest.body).toEqual(answer.body);
    const first = await request('GET', `/v1/namespaces/app/diff/diff/a?from=0&to=${one}`);
    expect(first.body.toString()).toContain('--- /dev/null');
    for (const query of [`from=${one - 1}`, `to=${one - 1}`, `to=${two + 1_000}`]) {
      expect(verdict(await request('GET', `/v1/namespaces/app/diff/diff/a?${query}`))).toEqual([
        404,
        'version-not-found',
      ]);
    }
    expect(verdict(await request('GET', '/v1/namespaces/app/diff/never'))).toEqual([404, 'key-not-found']);
  });

  it('that is too large is refused', async () => {
    const lines = (prefix: string) => Array.from({ length: 20_000 }, (_, i) => `${prefix}${i}`).join('\n');
    await put('diff/large', lines('x'));
    await put('diff/large', lines('y'));
    expect(verdict(await request('GET', '/v1/namespaces/app/diff/diff/large'))).toEqual([
      422,
      'diff-too-large',
    ]);
  });
});

describe('a rollback', () => {
  it('is a new change with the old value', async () => {
    const one = bodyOf(await put('back/a', '{"n":1}', { 'content-type': 'application/json' })).version;
    await put('back/a', 'two');
    const answer = await post('/v1/namespaces/app/rollback/back/a', { toVersion: one, comment: 'undo' });
    expect([answer.status, bodyOf(answer)]).toMatchObject([200, { key: 'back/a', version: one + 2 }]);
    const now = await request('GET', configPath('back/a'));
    expect([now.body.toString(), now.headers['content-type']]).toEqual(['{"n":1}', 'application/json']);
    expect((await json('/v1/namespaces/app/history/back/a?limit=1')).items[0].comment).toBe('undo');
  });

  it('obeys If-Match and Idempotency-Key, and knows only versions that the key had', async () => {
    const one = bodyOf(await put('back/b', '1')).version;
    await put('back/b', '2');
    const to = (toVersion: unknown, headers = {}) =>
      post('/v1/namespaces/app/rollback/back/b', { toVersion }, headers);
    expect(verdict(await to(one, { 'if-match': `"${one}"` }))).toEqual([412, 'precondition-failed']);
    const first = await to(one, { 'idempotency-key': 'back-b' });
    expect(bodyOf(await to(one, { 'idempotency-key': 'back-b' }))).toEqual(bodyOf(first));
    expect(verdict(await to(one - 1))).toEqual([404, 'version-not-found']);
    expect(verdict(await to(1_000_000))).toEqual([404, 'version-not-found']);
    expect(verdict(await to('1'))).toEqual([422, 'invalid-field']);
    expect(verdict(await post('/v1/namespaces/app/rollback/back/b', { toVersion: 1, x: 1 }))).toEqual([
      422,
      'invalid-field',
    ]);
    expect(verdict(await request('POST', '/v1/namespaces/app/rollback/back/b', '{"toVersion":1}'))).toEqual([
      415,
      'unsupported-content-type',
    ]);
  });
});

describe('GET /v1/namespaces', () => {
  it('names them and counts their keys; they come and go with them', async () => {
    await request('PUT', configPath('a', 'brief'), 'x');
    await request('PUT', configPath('b', 'brief'), 'x');
    const counted = async () =>
      (await json('/v1/namespaces')).namespaces.find(({ name }: { name: string }) => name === 'brief');
    expect(await counted()).toEqual({ name: 'brief', keys: 2 });
    await request('DELETE', configPath('a', 'brief'));
    await request('DELETE', configPath('b', 'brief'));
    expect(await counted()).toBeUndefined();
    expect(verdict(await request('GET', '/v1/namespaces', null, { accept: 'text/html' }))).toEqual([
      406,
      'not-acceptable',
    ]);
  });
});

describe('finding 19: the list of namespaces', () => {
  it('comes in pages, each namespace once, in the order of names', async () => {
    const names = Array.from({ length: 7 }, (_, i) => `paged-${i}`);
    for (const name of names) expect((await request('PUT', configPath('a', name), 'x')).status).toBe(201);
    const seen: string[] = [];
    for (let target = '/v1/namespaces?limit=2'; ; ) {
      const { namespaces, cursor } = await json(target);
      expect(namespaces.length).toBeLessThanOrEqual(2);
      seen.push(...namespaces.map(({ name }: { name: string }) => name));
      if (cursor === undefined) break;
      target = `/v1/namespaces?limit=2&cursor=${cursor}`;
    }
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(seen.filter((name) => name.startsWith('paged-'))).toEqual(names);
    for (const name of names) await request('DELETE', configPath('a', name));
  });

  it.each(['limit=0', 'limit=1001', 'cursor=x', 'cursor=WyJhIiwiYiJd'])('%s is refused', async (query) => {
    expect(verdict(await request('GET', `/v1/namespaces?${query}`))).toEqual([400, 'invalid-request']);
  });
});

describe('report 13: many namespaces, and a query that is not percent-encoded', () => {
  it('of 1,200 namespaces 1,000 come at once, and the others with the cursor', async () => {
    const writes = (op: string, from: number, to: number) => ({
      operations: Array.from({ length: to - from }, (_, i) => ({
        op,
        namespace: `many-${String(from + i).padStart(4, '0')}`,
        key: 'a',
        ...(op === 'put' ? { value: 'x' } : {}),
      })),
    });
    const send = async (op: string) => {
      expect((await post('/v1/changes', writes(op, 0, 600))).status).toBe(200);
      expect((await post('/v1/changes', writes(op, 600, 1_200))).status).toBe(200);
    };
    await send('put');
    const first = await json('/v1/namespaces');
    const rest = await json(`/v1/namespaces?cursor=${first.cursor}`);
    expect(first.namespaces).toHaveLength(1_000);
    expect(rest.cursor).toBeUndefined();
    const many = [...first.namespaces, ...rest.namespaces].filter(({ name }) => name.startsWith('many-'));
    expect(many).toHaveLength(1_200);
    await send('delete');
    expect((await json('/v1/namespaces')).cursor).toBeUndefined();
  });

  it('raw UTF-8 in a query is refused with the way to write it, and found when it is written so', async () => {
    await request('PUT', `/v1/namespaces/raw/configs/${encodeURIComponent('café/a')}`, 'x');
    const listing = '/v1/namespaces/raw/configs?prefix=';
    const bytes = Buffer.from(`GET ${listing}café HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    const answer = await sendRaw(Number(new URL(node.address).port), bytes);
    expect(answer).toMatchObject({ status: 400, headers: { 'content-type': 'application/problem+json' } });
    expect(JSON.parse(answer?.body.toString() ?? '').detail).toContain('--data-urlencode');
    const { items } = await json(`${listing}${encodeURIComponent('café')}`);
    expect(items).toMatchObject([{ key: 'café/a' }]);
  });
});

describe('a node that does not lead', () => {
  it('names the leader, or sends a write on once when a gateway asks it to', async () => {
    const follower = await lab.node('node-2');
    const write = (headers: Record<string, string>) =>
      follower.client.request('PUT', configPath('forwarded'), { body: 'x', headers });
    await expect
      .poll(() => follower.engine.leadership.leader?.address, { timeout: 10_000 })
      .toBe(node.address);
    const refused = await write({});
    expect(verdict(refused)).toEqual([421, 'not-leader']);
    expect(bodyOf(refused).leader).toBe(node.address);
    expect(verdict(await write({ 'holdfast-forward': '1' }))).toEqual([421, 'not-leader']);
    const trusted = {
      'holdfast-forward': '1',
      'holdfast-cluster-key': CLUSTER_KEY,
      'idempotency-key': 'fwd',
    };
    const sent = await write(trusted);
    expect([sent.status, sent.headers['holdfast-node']]).toEqual([201, 'node-1']);
    expect(bodyOf(await write(trusted))).toEqual(bodyOf(sent));
    expect(verdict(await write({ ...trusted, 'holdfast-forwarded': '1' }))).toEqual([421, 'not-leader']);
    expect(
      verdict(
        await node.client.request('PUT', configPath('aim'), {
          body: 'x',
          headers: { 'holdfast-aim-term': '9', 'holdfast-cluster-key': CLUSTER_KEY },
        }),
      ),
    ).toEqual([421, 'not-leader']);
    await follower.stop();
  });
});

describe('a node without its database', () => {
  it('reads from memory, and answers 503 to what needs the database', async () => {
    const proxy = await FaultProxy.start({ host: lab.storage.server.host, port: lab.storage.server.port });
    const cut = await lab.node('node-cut', { database: { host: '127.0.0.1', port: proxy.port } });
    const { version } = bodyOf(await put('cut/a', 'x'));
    await expect
      .poll(() => cut.engine.host.replica.version, { timeout: 10_000 })
      .toBeGreaterThanOrEqual(version);
    await proxy.close();
    const get = (target: string) => cut.client.request('GET', target, { timeoutMs: 10_000 });
    expect((await get(configPath('cut/a'))).status).toBe(200);
    expect((await get('/v1/namespaces/app/configs?limit=1')).status).toBe(200);
    expect(verdict(await get(`${configPath('cut/a')}?consistency=linearizable`))).toEqual([
      503,
      'storage-unavailable',
    ]);
    expect(verdict(await get('/v1/namespaces/app/history/cut/a'))).toEqual([503, 'storage-unavailable']);
    expect(verdict(await get('/v1/namespaces/app/diff/cut/a'))).toEqual([503, 'storage-unavailable']);
    expect(verdict(await get(`/v1/changes?namespace=app`))).toEqual([503, 'storage-unavailable']);
    await expect
      .poll(async () => (await get(configPath('cut/a'))).headers['holdfast-stale'], { timeout: 6_000 })
      .toBe('true');
    await cut.stop();
  });
});

describe('finding 17: a rollback that is repeated with its key', () => {
  it('gets the first answer although the old value cannot be read any more', async () => {
    const first = bodyOf(await put('again', 'one'));
    await put('again', 'two');
    const target = '/v1/namespaces/app/rollback/again';
    const rollback = (client: ApiClient, key: string) =>
      client.request('POST', target, {
        body: JSON.stringify({ toVersion: first.version }),
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
      });
    const done = await rollback(node.client, 'rollback-once');
    expect(done.status).toBe(200);

    // A node that has just loaded a state has no past in memory, and what the log had of it is gone.
    const next = await lab.node('node-next');
    const { replica } = node.engine.host;
    const { clusterId, version, chain, term } = replica;
    // The whole state: a node whose state differs from the others' steps down as soon as it finds out.
    const state = new StateBuilder();
    const pinned = await pinState(replica, async () => undefined);
    for (const entry of pinned?.pages.flat() ?? []) state.add(entry);
    next.engine.host.load({ clusterId, version, chain, term }, state, 'compacted');
    await lab.storage.admin.query('delete from config.change_ops where version = $1', [first.version]);
    await lab.elect(next);
    const repeated = await rollback(next.client, 'rollback-once');
    expect([repeated.status, bodyOf(repeated)]).toEqual([200, bodyOf(done)]);
    expect(verdict(await rollback(next.client, 'another'))).toEqual([404, 'version-not-found']);
  });
});
