import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { LIMITS } from '#libs/contracts';
import type { Answer } from '#libs/testing';
import { type ApiLab, type ApiNode, CLUSTER_KEY, openApiLab } from './api-lab.js';
import { rawBytes, sendRaw } from './raw-request.js';
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
const json = bodyOf;
const path = configPath;

describe('PUT of a key', () => {
  it('answers 201 when it is new and 200 when it is not, an equal value being a new version', async () => {
    const first = await put('put/a', 'one');
    expect(first.status).toBe(201);
    expect(json(first)).toEqual({
      namespace: 'app',
      key: 'put/a',
      version: expect.any(Number),
      term: expect.any(Number),
      checksum: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
    const second = await put('put/a', 'one');
    expect(second.status).toBe(200);
    expect(json(second).version).toBe(json(first).version + 1);
  });

  it.each([
    [undefined, 'text/plain; charset=utf-8'],
    ['text/plain; charset=utf-8', 'text/plain; charset=utf-8'],
    ['application/x-www-form-urlencoded', 'text/plain; charset=utf-8'],
    ['APPLICATION/JSON', 'application/json'],
    ['text/yaml', 'application/yaml'],
    ['application/x-yaml', 'application/yaml'],
    ['application/toml', 'application/toml'],
    ['text/x-java-properties', 'text/x-java-properties; charset=utf-8'],
    ['application/octet-stream', 'application/octet-stream'],
  ])('of type %s is answered as %s', async (given, stored) => {
    await request('PUT', path('put/typed'), '1 = 1'.slice(0, given?.includes('toml') ? 5 : 1), {
      'content-type': given,
    });
    expect((await request('GET', path('put/typed'))).headers['content-type']).toBe(stored);
  });

  it('report 8: text is answered with its charset everywhere, and stored under its plain type', async () => {
    const name = 'put/müller';
    const { version } = json(await put(encodeURI(name), 'Müller', { 'content-type': 'text/plain' }));
    for (const target of [
      path(encodeURI(name)),
      path('?key=put%2Fm%C3%BCller'),
      path(`${encodeURI(name)}?version=${version}`),
    ]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await request(method, target.replace('/?', '?'));
        expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
      }
    }
    // Keys without escapes are answered before the router.
    await put('put/ascii', 'Müller');
    for (const method of ['GET', 'HEAD']) {
      const answer = await request(method, path('put/ascii'));
      expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
    }
    expect(await (await fetch(`${node.address}${path('put/ascii')}`)).text()).toBe('Müller');
    const { items } = json(
      await request('GET', `/v1/namespaces/app/configs?prefix=${encodeURIComponent(name)}`),
    );
    expect(items).toMatchObject([{ contentType: 'text/plain', value: 'Müller' }]);
    const history = json(await request('GET', `/v1/namespaces/app/history/${encodeURI(name)}`));
    expect(history.items).toMatchObject([{ contentType: 'text/plain' }]);
    const { changes } = json(await request('GET', `/v1/changes?after=${version - 1}&limit=1`));
    expect(changes[0].operations).toMatchObject([{ contentType: 'text/plain' }]);
    await put('put/no-text', Buffer.from([0xff]));
    expect((await request('GET', path('put/no-text'))).headers['content-type']).toBe('text/plain');
  });

  it('report 8: another charset is stored in UTF-8, or refused by its name', async () => {
    const as = (type: string, body: Buffer) => put('put/charset', body, { 'content-type': type });
    const stored = async () => (await request('GET', path('put/charset'))).body.toString();
    expect((await as('text/plain; charset=ISO-8859-1', Buffer.from('Müller', 'latin1'))).status).toBe(201);
    expect(await stored()).toBe('Müller');
    expect((await as('application/json; charset=utf-16le', Buffer.from('"é"', 'utf16le'))).status).toBe(200);
    expect(await stored()).toBe('"é"');
    const unknown = await as('text/plain; charset=klingon', Buffer.from('x'));
    expect(verdict(unknown)).toEqual([415, 'unsupported-content-type']);
    expect(json(unknown)).toMatchObject({ charset: 'klingon' });
    const wrong = await as('text/plain; charset=shift_jis', Buffer.from([0xff]));
    expect(verdict(wrong)).toEqual([422, 'invalid-value']);
    const wide = await as('text/plain; charset=latin1', Buffer.alloc(1024 * 1024, 0xe9));
    expect(verdict(wide)).toEqual([413, 'value-too-large']);
    const operations = ['latin1', 'klingon'].map((charset) => ({
      op: 'put',
      namespace: 'app',
      key: `put/charset/${charset}`,
      value: Buffer.from('Müller', 'latin1').toString('base64'),
      encoding: 'base64',
      contentType: `text/plain; charset=${charset}`,
    }));
    const refused = await post('/v1/changes', { operations });
    expect(verdict(refused)).toEqual([415, 'unsupported-content-type']);
    expect(json(refused)).toMatchObject({ operation: 1, charset: 'klingon' });
    expect((await post('/v1/changes', { operations: operations.slice(0, 1) })).status).toBe(200);
    expect((await request('GET', path('put/charset/latin1'))).body.toString()).toBe('Müller');
  });

  it('report 9f: without a body stores nothing, and says how an empty value is stored', async () => {
    await put('put/kept', 'x');
    const url = new URL(node.address);
    const curl = (...headers: string[]) => {
      const lines = [`PUT ${path('put/kept')} HTTP/1.1`, `Host: ${url.host}`, ...headers, '', ''];
      return sendRaw(Number(url.port), Buffer.from(lines.join('\r\n')));
    };
    for (const headers of [[], ['Content-Type: text/plain'], ['Content-Length: 0']]) {
      const answer = await curl(...headers);
      expect(answer?.status).toBe(400);
      expect(answer?.body.toString()).toContain('send Content-Length: 0 and a Content-Type');
    }
    expect((await request('GET', path('put/kept'))).body.toString()).toBe('x');
    expect((await curl('Content-Type: text/plain', 'Content-Length: 0'))?.status).toBe(200);
    expect((await request('GET', path('put/kept'))).body).toHaveLength(0);
  });

  it('report 9a: says true words of tags that no version can match', async () => {
    const { version } = json(await put('put/tags', '1'));
    for (const [tag, words] of [
      [`W/"${version}"`, `a weak tag like W/"${version}" never matches If-Match: send "${version}"`],
      ['"0"', 'If-Match "0" names no version'],
      ['"abc"', 'If-Match "abc" names no version'],
    ] as const) {
      const answer = await put('put/tags', '2', { 'if-match': tag });
      expect(verdict(answer)).toEqual([412, 'precondition-failed']);
      expect(json(answer).currentVersion).toBe(version);
      expect(json(answer).detail).toContain(words);
      expect(json(answer).detail).toContain(`the key is at version ${version}`);
    }
    const malformed = await put('put/tags', '2', { 'if-match': 'abc' });
    expect(verdict(malformed)).toEqual([400, 'invalid-request']);
    expect(json(malformed).detail).toContain('If-Match');
  });

  it('of another type answers 415 with the list', async () => {
    const answer = await put('put/png', 'x', { 'content-type': 'image/png' });
    expect(verdict(answer)).toEqual([415, 'unsupported-content-type']);
    expect(json(answer).supported).toContain('application/yaml');
    expect(verdict(await put('put/gz', 'x', { 'content-encoding': 'gzip' }))).toEqual([
      415,
      'unsupported-content-type',
    ]);
  });

  it('returns values byte for byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await put('put/bytes', bytes, { 'content-type': 'application/octet-stream' });
    expect((await request('GET', path('put/bytes'))).body).toEqual(bytes);
    const number = '{"n": 12345678901234567890.10}';
    await put('put/number', number, { 'content-type': 'application/json' });
    expect((await request('GET', path('put/number'))).body.toString()).toBe(number);
    expect((await put('put/empty', '')).status).toBe(201);
    expect((await request('GET', path('put/empty'))).body).toHaveLength(0);
  });

  it('takes 1 MiB and not a byte more', async () => {
    expect((await put('put/mib', Buffer.alloc(1024 * 1024, 'x'))).status).toBe(201);
    expect(verdict(await put('put/mib', Buffer.alloc(1024 * 1024 + 1, 'x')))).toEqual([
      413,
      'value-too-large',
    ]);
    expect((await request('GET', path('put/mib'))).body).toHaveLength(1024 * 1024);
  });

  it.each([
    ['application/json', '{"a":\n}', 2],
    ['application/yaml', 'a: [1', 1],
    ['application/toml', 'a = 1\nb = ', 2],
    ['text/x-java-properties', 'a=\\u12', 1],
  ])('of %s that is not well-formed answers 422 and names the place', async (contentType, body, line) => {
    const answer = await put('put/bad', body, { 'content-type': contentType });
    expect(verdict(answer)).toEqual([422, 'invalid-value']);
    expect(json(answer)).toMatchObject({ line, column: expect.any(Number), reason: expect.any(String) });
    expect(verdict(await request('GET', path('put/bad')))).toEqual([404, 'key-not-found']);
  });

  it('obeys If-Match and If-None-Match', async () => {
    const { version } = json(await put('put/cas', '1'));
    const failed = await put('put/cas', '2', { 'if-none-match': '*' });
    expect(verdict(failed)).toEqual([412, 'precondition-failed']);
    expect(json(failed).currentVersion).toBe(version);
    expect(verdict(await put('put/cas', '2', { 'if-match': `"${version + 100}"` }))).toEqual([
      412,
      'precondition-failed',
    ]);
    expect((await put('put/cas', '2', { 'if-match': `"${version}"` })).status).toBe(200);
    expect(verdict(await put('put/cas', '3', { 'if-match': `"${version}"` }))).toEqual([
      412,
      'precondition-failed',
    ]);
    expect((await put('put/cas', '3', { 'if-match': `"${version}", "${version + 1}"` })).status).toBe(200);
    expect((await put('put/cas', '4', { 'if-match': '*' })).status).toBe(200);
    expect(verdict(await put('put/none', '4', { 'if-match': '*' }))).toEqual([412, 'precondition-failed']);
    expect((await put('put/none', '4', { 'if-none-match': '*' })).status).toBe(201);
    expect(verdict(await put('put/cas', '5', { 'if-match': '5' }))).toEqual([400, 'invalid-request']);
    expect(verdict(await put('put/cas', '5', { 'if-none-match': '"5"' }))).toEqual([400, 'invalid-request']);
  });

  it('with an Idempotency-Key has its effect once', async () => {
    const key = { 'idempotency-key': 'put-once' };
    const first = await put('put/once', 'a', key);
    const repeat = await put('put/once', 'a', key);
    expect([repeat.status, json(repeat)]).toEqual([201, json(first)]);
    expect((await put('put/once', 'a', { ...key, 'holdfast-comment': 'again' })).status).toBe(201);
    for (const other of [
      put('put/once', 'b', key),
      put('put/once2', 'a', key),
      put('put/once', 'a', { ...key, 'if-match': '*' }),
      put('put/once', 'a', { ...key, 'content-type': 'application/octet-stream' }),
      request('DELETE', path('put/once'), null, key),
      node.client.post(
        '/v1/changes',
        { operations: [{ op: 'delete', namespace: 'app', key: 'put/once' }] },
        key,
      ),
    ]) {
      expect(verdict(await other)).toEqual([422, 'idempotency-key-reused']);
    }
    expect((await put('put/both', 'a', { 'idempotency-key': 'x'.repeat(257) })).status).toBe(400);
  });

  it('with a key that is known answers as the first time, even if the value would no longer pass', async () => {
    const [first, second] = await Promise.all([
      put('put/race', 'a', { 'idempotency-key': 'race' }),
      put('put/race', 'a', { 'idempotency-key': 'race' }),
    ]);
    expect(json(first)).toEqual(json(second));
    const bad = await put('put/race', '{', {
      'idempotency-key': 'race-2',
      'content-type': 'application/json',
    });
    expect(verdict(bad)).toEqual([422, 'invalid-value']);
    const reused = await put('put/race', '{', {
      'idempotency-key': 'race',
      'content-type': 'application/json',
    });
    expect(verdict(reused)).toEqual([422, 'idempotency-key-reused']);
  });

  it('keeps comment and author in the history', async () => {
    await put('put/why', '1', { 'holdfast-comment': 'f%C3%BCr%20alle', 'holdfast-author': 'ann' });
    await request('PUT', `${path('put/why')}?comment=from%20the%20query`, '2');
    const history = json(await request('GET', '/v1/namespaces/app/history/put/why'));
    expect(history.items).toMatchObject([
      { comment: 'from the query', author: null },
      { comment: 'für alle', author: 'ann' },
    ]);
    expect(verdict(await put('put/why', '3', { 'holdfast-comment': '%' }))).toEqual([400, 'invalid-request']);
    expect(verdict(await put('put/why', '3', { 'holdfast-author': 'x'.repeat(1_025) }))).toEqual([
      400,
      'invalid-request',
    ]);
  });

  it('takes comment and author as bytes of UTF-8 too, and nothing else', async () => {
    const send = (author: Buffer) =>
      sendRaw(
        Number(new URL(node.address).port),
        rawBytes({
          method: 'PUT',
          target: path('put/raw'),
          headers: [
            ['Host', '127.0.0.1'],
            ['Holdfast-Author', author.toString('latin1')],
          ],
          body: Buffer.from('x'),
        }),
      );
    expect((await send(Buffer.from('Jörg')))?.status).toBe(201);
    expect((await send(Buffer.from('J\u00f6rg', 'latin1')))?.status).toBe(400);
    const history = json(await request('GET', '/v1/namespaces/app/history/put/raw'));
    expect(history.items).toMatchObject([{ author: 'Jörg' }]);
  });

  it('with two idempotency keys is refused, not taken for a third', async () => {
    const answer = await sendRaw(
      Number(new URL(node.address).port),
      rawBytes({
        method: 'PUT',
        target: path('put/two-keys'),
        headers: [
          ['Host', '127.0.0.1'],
          ['Idempotency-Key', 'a'],
          ['Idempotency-Key', 'b'],
        ],
        body: Buffer.from('x'),
      }),
    );
    expect(answer?.status).toBe(400);
    expect((await request('GET', path('put/two-keys'))).status).toBe(404);
  });

  it('that fails in an unforeseen way once it was handed over leaves its outcome open', async () => {
    const { publisher } = node.engine;
    const submit = publisher.submit.bind(publisher);
    const spy = vi.spyOn(publisher, 'submit').mockImplementation(async (write) => {
      await submit(write);
      throw new Error('nobody foresaw this');
    });
    try {
      const answer = await put('put/unforeseen', 'x', { 'idempotency-key': 'unforeseen' });
      expect(verdict(answer)).toEqual([504, 'outcome-unknown']);
    } finally {
      spy.mockRestore();
    }
    const repeat = await put('put/unforeseen', 'x', { 'idempotency-key': 'unforeseen' });
    expect(repeat.status).toBe(201);
  });

  it('is refused in reserved namespaces, which may be read', async () => {
    expect(verdict(await request('PUT', path('x', 'system'), 'x'))).toEqual([403, 'forbidden']);
    expect(verdict(await request('PUT', path('x', 'system.acl'), 'x'))).toEqual([403, 'forbidden']);
    expect(json(await request('GET', '/v1/namespaces/system/configs')).items).toEqual([]);
  });

  it('is open to operators for the keys that Holdfast has there, and for values that it understands', async () => {
    const operator = { 'holdfast-cluster-key': CLUSTER_KEY, 'holdfast-operator': '1' };
    const asJson = { ...operator, 'content-type': 'application/json' };
    const key = path('gateway/balancing', 'system');
    const good = '{"strategy":"round-robin"}';
    expect(verdict(await request('PUT', key, good, { 'content-type': 'application/json' }))).toEqual([
      403,
      'forbidden',
    ]);
    const guess = { ...asJson, 'holdfast-cluster-key': 'guess' };
    expect(verdict(await request('PUT', key, good, guess))).toEqual([403, 'forbidden']);
    const gateways = { 'content-type': 'application/json', 'holdfast-cluster-key': CLUSTER_KEY };
    expect(verdict(await request('PUT', key, good, gateways))).toEqual([403, 'forbidden']); // of some client
    expect(verdict(await request('PUT', path('gateway/other', 'system'), good, asJson))).toEqual([
      403,
      'forbidden',
    ]);
    const bad = await request('PUT', key, '{"strategy":"round-robin","slowStartMs":-5}', asJson);
    expect([verdict(bad), json(bad).field]).toEqual([[422, 'invalid-value'], 'slowStartMs']);
    expect(verdict(await request('PUT', key, 'strategy: x', operator))).toEqual([
      415,
      'unsupported-content-type',
    ]);
    const operations = [
      {
        op: 'put',
        namespace: 'system',
        key: 'gateway/balancing',
        value: '{}',
        contentType: 'application/json',
      },
    ];
    const set = await request('POST', '/v1/changes', JSON.stringify({ operations }), asJson);
    expect([verdict(set), json(set)]).toEqual([
      [422, 'invalid-value'],
      expect.objectContaining({ operation: 0, field: 'strategy' }),
    ]);
    expect((await request('PUT', key, good, asJson)).status).toBe(201);
    expect((await request('GET', key)).body.toString()).toBe(good);
    expect((await request('DELETE', key, undefined, operator)).status).toBe(200);
  });
});

describe('the key in the path', () => {
  it('is everything after the prefix, decoded once', async () => {
    await put('path%2Fa%20b/%E2%82%AC', 'x');
    expect((await request('GET', path('path/a%20b/€'.replace('€', '%E2%82%AC')))).body.toString()).toBe('x');
    await put('path/100%2525', 'y');
    const { items } = json(await request('GET', '/v1/namespaces/app/configs?prefix=path%2F'));
    expect(items.map((item: { key: string }) => item.key)).toEqual(['path/100%25', 'path/a b/€']);
  });

  it('may be in the query', async () => {
    const target = '/v1/namespaces/app/configs?key=query%2Fa';
    expect((await request('PUT', target, 'x')).status).toBe(201);
    expect((await request('GET', target)).body.toString()).toBe('x');
    expect((await request('HEAD', target)).headers.etag).toMatch(/^"\d+"$/);
    expect((await request('GET', path('query/a'))).status).toBe(200);
    expect((await request('DELETE', target)).status).toBe(200);
    for (const listing of ['prefix=x', 'limit=1', 'values=false', 'cursor=x']) {
      expect(verdict(await request('GET', `${target}&${listing}`))).toEqual([400, 'invalid-request']);
    }
    expect(verdict(await request('GET', '/v1/namespaces/app/configs?version=3'))).toEqual([
      400,
      'invalid-request',
    ]);
    expect(verdict(await request('PUT', '/v1/namespaces/app/configs', 'x'))).toEqual([
      400,
      'invalid-request',
    ]);
  });

  it.each(['%', '%zz', '%ff', 'a%C3%28'])('%s is malformed: 400', async (key) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      expect(verdict(await request(method, path(key), method === 'PUT' ? 'x' : null))).toEqual([
        400,
        'invalid-request',
      ]);
    }
  });

  it.each(['', 'a//b', '%2Fa', 'a/', 'a/%2E%2E/b', 'a%00', 'a%0A', 'x'.repeat(513)])(
    '%s is no key: 422',
    async (key) => {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        expect(verdict(await request(method, path(key), method === 'PUT' ? 'x' : null))).toEqual([
          422,
          'invalid-key',
        ]);
      }
    },
  );

  it('may have 512 bytes, percent-encoded', async () => {
    const key = '€'.repeat(170);
    expect((await put(encodeURIComponent(key))).status).toBe(201);
    expect((await request('GET', path(encodeURIComponent(key)))).status).toBe(200);
  });

  it('is of a namespace: 422 when that is none', async () => {
    for (const namespace of ['App', 'a..b', 'a%2Fb', 'x'.repeat(64)]) {
      expect(verdict(await request('GET', path('a', namespace)))).toEqual([422, 'invalid-key']);
      expect(verdict(await request('PUT', path('a', namespace), 'x'))).toEqual([422, 'invalid-key']);
    }
  });
});

describe('GET and HEAD of a key', () => {
  it('carry the value, its type, its tag and where the node stands', async () => {
    const { version } = json(await put('get/a', '{"a":1}', { 'content-type': 'application/json' }));
    const get = await request('GET', path('get/a'));
    expect(get.body.toString()).toBe('{"a":1}');
    const head = await request('HEAD', path('get/a'));
    expect([head.status, head.body.length]).toEqual([200, 0]);
    for (const { headers } of [get, head, await request('GET', `${path('get/a')}?minVersion=0`)]) {
      expect(headers).toMatchObject({
        'content-type': 'application/json',
        'content-length': '7',
        etag: `"${version}"`,
        'cache-control': 'no-cache',
        'holdfast-node': 'node-1',
        'holdfast-version': String(node.engine.host.replica.version),
        'holdfast-term': '1',
      });
      expect(headers['holdfast-stale']).toBeUndefined();
    }
    const absent = await request('GET', path('get/none'));
    expect(verdict(absent)).toEqual([404, 'key-not-found']);
    expect(absent.headers['holdfast-version']).toBe(String(node.engine.host.replica.version));
    expect((await request('HEAD', path('get/none'))).status).toBe(404);
  });

  it('return the request id', async () => {
    const answer = await request('GET', path('get/a'), null, { 'x-request-id': 'abc-1' });
    expect(answer.headers['x-request-id']).toBe('abc-1');
  });

  it('answer 304 to whoever has it', async () => {
    const { version } = json(await put('get/etag', 'x'));
    for (const known of [`"${version}"`, `W/"${version}"`, `"1", W/"${version}"`, '*']) {
      const answer = await request('GET', path('get/etag'), null, { 'if-none-match': known });
      expect([answer.status, answer.headers.etag, answer.body.length]).toEqual([304, `"${version}"`, 0]);
      expect(answer.headers['holdfast-version']).toBeDefined();
    }
    for (const other of [`"${version + 1}"`, '"x"', '"1", "2"']) {
      expect((await request('GET', path('get/etag'), null, { 'if-none-match': other })).status).toBe(200);
    }
  });

  it('wait for a version', async () => {
    const { version } = json(await put('get/wait', 'x'));
    expect((await request('GET', `${path('get/wait')}?minVersion=${version}`)).status).toBe(200);
    const waiting = request('GET', `${path('get/wait')}?minVersion=${version + 1}`);
    const header = request('GET', path('get/wait'), null, { 'holdfast-min-version': String(version + 1) });
    await put('get/wait', 'y');
    expect((await waiting).body.toString()).toBe('y');
    expect((await header).body.toString()).toBe('y');
    const late = await request('GET', `${path('get/wait')}?minVersion=${version + 1_000}&timeout=50ms`);
    expect(verdict(late)).toEqual([504, 'version-not-reached']);
    for (const bad of ['minVersion=-1', 'minVersion=x', 'timeout=31s', 'timeout=-1', 'consistency=strong']) {
      expect(verdict(await request('GET', `${path('get/wait')}?${bad}`))).toEqual([400, 'invalid-request']);
    }
    expect(verdict(await request('GET', path('get/wait'), null, { 'holdfast-min-version': 'x' }))).toEqual([
      400,
      'invalid-request',
    ]);
  });

  it('may be linearizable', async () => {
    await put('get/linear', 'x');
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => request('GET', `${path('get/linear')}?consistency=linearizable`)),
    );
    expect(answers.every((answer) => answer.status === 200 && answer.body.toString() === 'x')).toBe(true);
  });

  it('show the value as it was', async () => {
    const first = json(await put('get/past', 'one')).version;
    const second = json(await put('get/past', 'two', { 'content-type': 'application/octet-stream' })).version;
    const gone = json(await request('DELETE', path('get/past'))).version;
    const then = async (version: number) => request('GET', `${path('get/past')}?version=${version}`);
    const old = await then(first);
    expect([old.body.toString(), old.headers.etag, old.headers['content-type']]).toEqual([
      'one',
      `"${first}"`,
      'text/plain; charset=utf-8',
    ]);
    expect((await then(second)).body.toString()).toBe('two');
    expect(verdict(await then(first - 1))).toEqual([404, 'version-not-found']);
    expect(verdict(await then(gone))).toEqual([404, 'version-not-found']);
    expect(verdict(await then(gone + 1_000))).toEqual([404, 'version-not-found']);
    const known = await request('GET', `${path('get/past')}?version=${first}`, null, {
      'if-none-match': `"${first}"`,
    });
    expect(known.status).toBe(304);
  });
});

describe('DELETE of a key', () => {
  it('answers 200 once, then 404', async () => {
    const { version } = json(await put('delete/a'));
    const answer = await request('DELETE', path('delete/a'));
    expect(answer.status).toBe(200);
    expect(json(answer)).toEqual({
      namespace: 'app',
      key: 'delete/a',
      version: version + 1,
      term: 1,
      createdAt: expect.any(String),
    });
    expect(verdict(await request('DELETE', path('delete/a')))).toEqual([404, 'key-not-found']);
    expect(verdict(await request('GET', path('delete/a')))).toEqual([404, 'key-not-found']);
  });

  it('takes If-Match and Idempotency-Key', async () => {
    const { version } = json(await put('delete/b'));
    expect(verdict(await request('DELETE', path('delete/b'), null, { 'if-match': '"1"' }))).toEqual([
      412,
      'precondition-failed',
    ]);
    const headers = { 'if-match': `"${version}"`, 'idempotency-key': 'delete-b' };
    const first = await request('DELETE', path('delete/b'), null, headers);
    expect(first.status).toBe(200);
    expect(json(await request('DELETE', path('delete/b'), null, headers))).toEqual(json(first));
  });
});

describe('requests that are none', () => {
  it.each([
    ['PATCH', '/v1/namespaces/app/configs/a', 405, 'method-not-allowed'],
    ['POST', '/v1/namespaces/app/configs/a', 405, 'method-not-allowed'],
    ['PUT', '/v1/changes', 405, 'method-not-allowed'],
    ['DELETE', '/v1/namespaces', 405, 'method-not-allowed'],
    ['GET', '/v1/namespaces/app/rollback/a', 405, 'method-not-allowed'],
    ['GET', '/v1/nothing', 404, 'not-found'],
    ['GET', '/v1/namespaces/app/configs/a?x=1', 400, 'invalid-request'],
    ['GET', '/v1/namespaces/app/configs/a?version=1&version=2', 400, 'invalid-request'],
    ['PUT', '/v1/namespaces/app/configs/a?coment=x', 400, 'invalid-request'],
    ['DELETE', '/v1/namespaces/app/configs/a?x', 400, 'invalid-request'],
    ['GET', '/v1/namespaces?x=1', 400, 'invalid-request'],
  ])('%s %s: %i %s', async (method, target, status, code) => {
    const answer = await request(method, target, method === 'GET' || method === 'DELETE' ? null : 'x');
    expect(verdict(answer)).toEqual([status, code]);
    if (status === 405) expect(answer.headers.allow).toMatch(/^[A-Z]+(, [A-Z]+)*$/);
  });

  it('of a foreign host or page are refused, on the fast way too', async () => {
    await put('guard/a');
    for (const headers of [{ host: 'evil.example' }, { origin: 'http://evil.example' }]) {
      expect(verdict(await request('GET', path('guard/a'), null, headers))).toEqual([403, 'forbidden']);
      expect(verdict(await request('PUT', path('guard/a'), 'x', headers))).toEqual([403, 'forbidden']);
    }
  });

  it('have headers beyond all measure: 431', async () => {
    const answer = await request('GET', path('guard/a'), null, {
      'x-long': 'x'.repeat(LIMITS.requestHeadBytes),
    });
    expect(verdictWithoutInstance(answer)).toEqual([431, 'headers-too-large']);
  });
});

function verdictWithoutInstance(answer: Answer): [number, string] {
  return [answer.status, json(answer).code];
}
