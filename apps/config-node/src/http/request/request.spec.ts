import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFault, LIMITS, Problem } from '#libs/contracts';
import { demandWritable, keyAddress, namespaceOf } from './address.js';
import { parseChangeSet } from './change-set.js';
import { demandCharset, inUtf8 } from './charset.js';
import { configsQuery } from './configs-query.js';
import { namesVersion, parseTags, writeCondition } from './entity-tag.js';
import { decodeCursor, encodeCursor } from './list-cursor.js';
import { requestHash } from './request-hash.js';
import { demandOneIdempotencyKey, idempotencyKey, textHeader, versionHeader } from './text-header.js';

const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
  return 'fine';
};

describe('the address of a key', () => {
  const keyOf = (target: string, named?: string) => keyAddress(target, named).key;

  it('is what follows the collection, decoded once', () => {
    expect(keyAddress('/v1/namespaces/app.web/configs/db/host?x=1', undefined)).toEqual({
      namespace: 'app.web',
      key: 'db/host',
    });
    expect(keyOf('/v1/namespaces/app/configs/db%2Fhost')).toBe('db/host');
    expect(keyOf('/v1/namespaces/app/configs/db%252Fhost')).toBe('db%2Fhost');
    expect(keyOf('/v1/namespaces/app/configs/a+b%20c')).toBe('a+b c');
    expect(keyOf('/v1/namespaces/app/configs/%E2%82%AC')).toBe('€');
    expect(keyOf('/v1/namespaces/app/history/configs/x')).toBe('configs/x');
    expect(keyOf(`/v1/namespaces/app/configs/${Buffer.from('ü').toString('latin1')}`)).toBe('ü');
  });

  it('may be in the query where the path has none', () => {
    expect(keyOf('/v1/namespaces/app/configs?key=x', 'x')).toBe('x');
    expect(code(() => keyOf('/v1/namespaces/app/configs'))).toBe('invalid-request');
    expect(code(() => keyOf('/v1/namespaces/app/configs/a?key=x', 'x'))).toBe('invalid-request');
  });

  it.each([
    '',
    '/a',
    'a//b',
    'a/',
    '.',
    'a/../b',
    'a/%2E',
    'x%00',
    'x%0A',
    '%C2%85',
    'x'.repeat(513),
    '%E2%82%AC'.repeat(171),
  ])('is refused: %s', (key) => {
    expect(code(() => keyOf(`/v1/namespaces/app/configs/${key}`))).toBe('invalid-key');
  });

  it('survives any key that is valid', () => {
    const segment = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((text) => !text.includes('/') && keyFault(text) === undefined);
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), (segments) => {
        const key = segments.join('/');
        fc.pre(Buffer.byteLength(key) <= 512);
        expect(keyOf(`/v1/namespaces/app/configs/${encodeURIComponent(key)}`)).toBe(key);
        expect(keyOf(`/v1/namespaces/app/configs/${segments.map(encodeURIComponent).join('/')}`)).toBe(key);
      }),
    );
  });

  it('is refused when it is not UTF-8, or of no namespace', () => {
    for (const bad of ['%', '%zz', '%ff', '%C3%28', '%ED%A0%80', '\u00fc']) {
      expect(code(() => keyOf(`/v1/namespaces/app/configs/${bad}`))).toBe('invalid-request');
    }
    for (const bad of ['', 'App', 'a..b', 'a_', 'a%2Fb', 'x'.repeat(64)]) {
      expect(code(() => namespaceOf(`/v1/namespaces/${bad}/configs/x`))).toBe('invalid-key');
    }
    expect(namespaceOf('/v1/namespaces/app?x=/')).toBe('app');
  });

  it('is not to be written in a reserved namespace', () => {
    const writable = (namespace: string, key: string, operator: boolean) =>
      code(() => demandWritable({ namespace, key }, operator));
    expect(writable('system', 'gateway/balancing', false)).toBe('forbidden');
    expect(writable('system.acl', 'x', false)).toBe('forbidden');
    expect(writable('systems', 'x', false)).toBe('fine');
    expect(writable('system', 'gateway/balancing', true)).toBe('fine');
    expect(writable('system', 'gateway/other', true)).toBe('forbidden');
    expect(writable('system.acl', 'gateway/balancing', true)).toBe('forbidden');
  });
});

describe('entity tags', () => {
  it('are a star or a list', () => {
    expect(parseTags('If-Match', ' * ')).toBe('*');
    expect(namesVersion(parseTags('If-None-Match', 'W/"5"'), 5)).toBe(true);
    expect(namesVersion(parseTags('If-None-Match', '"4" , W/"x,y","5"'), 5)).toBe(true);
    expect(namesVersion(parseTags('If-None-Match', '"05"'), 5)).toBe(false);
    expect(namesVersion(parseTags('If-None-Match', '*'), 5)).toBe(true);
    for (const bad of ['5', '"5', '"5" "6"', '', 'w/"5"', '*, "5"', '"5",']) {
      expect([bad, code(() => parseTags('If-Match', bad))]).toEqual([
        bad,
        bad === '"5",' ? 'fine' : 'invalid-request',
      ]);
    }
  });

  it('become the condition of a write', () => {
    const condition = (headers: Parameters<typeof writeCondition>[0], current?: number) =>
      writeCondition(headers, () => current);
    expect(condition({})).toBeUndefined();
    expect(condition({ 'if-match': '"7"' })).toEqual({ type: 'version', version: 7 });
    expect(condition({ 'if-match': '"7", "9"' }, 9)).toEqual({ type: 'version', version: 9 });
    expect(condition({ 'if-match': '"7", "9"' }, 8)).toEqual({ type: 'version', version: 7 });
    expect(condition({ 'if-match': '*' })).toEqual({ type: 'exists' });
    expect(condition({ 'if-none-match': '*' })).toEqual({ type: 'absent' });
    expect(code(() => condition({ 'if-none-match': '"7"' }))).toBe('invalid-request');
    expect(code(() => condition({ 'if-match': '*', 'if-none-match': '*' }))).toBe('invalid-request');
  });
});

describe('report 9a: tags of If-Match that no version can match', () => {
  const condition = (match: string) => writeCondition({ 'if-match': match }, () => 7);

  it.each([
    ['W/"7"', 'a weak tag like W/"7" never matches If-Match: send "7"'],
    ['"abc", W/"7"', 'send "7"'],
    ['"0"', 'If-Match "0" names no version: the tag of a key is its version, like "12"'],
    ['"abc", W/"def"', 'If-Match "abc", W/"def" names no version'],
    ['"99999999999999999999"', 'names no version'],
  ])('%s are told from versions', (match, why) => {
    expect(condition(match)).toEqual({ type: 'unmeetable', why: expect.stringContaining(why) });
  });

  it('give way to those that one can', () => {
    expect(condition('W/"7", "8"')).toEqual({ type: 'version', version: 8 });
  });

  it('are named when they are none', () => {
    expect(() => condition('abc')).toThrow('If-Match is neither');
  });
});

describe('report 8: another charset', () => {
  const latin1 = Buffer.from('Müller', 'latin1');

  it.each([
    ['text/plain', 'text/plain; charset=iso-8859-1', latin1],
    ['text/x-java-properties', 'text/x-java-properties; charset=latin1', latin1],
    ['application/json', 'application/json; charset="UTF-16LE"', Buffer.from('Müller', 'utf16le')],
    ['text/plain', 'text/plain; charset=utf-16', Buffer.from('\ufeffMüller', 'utf16le').swap16()],
    ['text/plain', 'text/plain; charset=utf-16', Buffer.from('\ufeffMüller', 'utf16le')],
    ['text/plain', 'text/plain; charset=utf-8', Buffer.from('Müller')],
    ['text/plain', undefined, Buffer.from('Müller')],
  ])('of %s, declared as %s, becomes UTF-8', (type, header, bytes) => {
    expect(inUtf8(bytes, type, header).toString()).toBe('Müller');
  });

  it('changes no bytes that are not text, nor what is declared as UTF-8', () => {
    expect(inUtf8(latin1, 'application/octet-stream', 'application/octet-stream; charset=utf-16')).toBe(
      latin1,
    );
    expect(inUtf8(latin1, 'text/plain', 'text/plain; charset=UTF-8')).toBe(latin1);
  });

  it('is refused by its name when it is not known or not true', () => {
    expect(() => inUtf8(latin1, 'text/plain', 'text/plain; charset=klingon')).toThrow("charset 'klingon'");
    expect(() => demandCharset('text/plain', 'text/plain; charset=klingon')).toThrow("charset 'klingon'");
    expect(() => inUtf8(Buffer.from([0x41]), 'text/plain', 'text/plain; charset=utf-16be')).toThrow(
      'utf-16be',
    );
    expect(() => inUtf8(Buffer.from([0xff]), 'text/plain', 'text/plain; charset=shift_jis')).toThrow(
      'shift_jis',
    );
  });
});

describe('headers', () => {
  it('of text are percent-encoded UTF-8 of at most 1,024 bytes', () => {
    expect(textHeader('Holdfast-Comment', undefined)).toBeNull();
    expect(textHeader('Holdfast-Comment', 'f%C3%BCr%20alle')).toBe('für alle');
    expect(textHeader('Holdfast-Comment', '%C3%BC'.repeat(512))).toHaveLength(512);
    for (const bad of ['%', '%ff', '%00', 'x'.repeat(1_025)]) {
      expect(code(() => textHeader('Holdfast-Comment', bad))).toBe('invalid-request');
    }
  });

  it('of text may hold UTF-8 as it is, which arrives as latin1', () => {
    const asArrived = (text: string) => Buffer.from(text).toString('latin1');
    expect(textHeader('Holdfast-Author', asArrived('Jörg für 100 €'))).toBe('Jörg für 100 €');
    expect(textHeader('Holdfast-Author', `${asArrived('ü')}%C3%BC`)).toBe('üü');
    for (const latin1 of ['f\u00fcr', `${asArrived('ü')}\u00fc`]) {
      expect(code(() => textHeader('Holdfast-Author', latin1))).toBe('invalid-request');
    }
  });

  it('of idempotency occur once', () => {
    const twice = ['Idempotency-Key', 'a', 'Host', 'x', 'idempotency-key', 'b'];
    expect(code(() => demandOneIdempotencyKey(twice))).toBe('invalid-request');
    expect(code(() => demandOneIdempotencyKey(twice.slice(0, 4)))).toBe('fine');
    expect(code(() => demandOneIdempotencyKey(['x', 'idempotency-key', 'idempotency-key', 'a']))).toBe(
      'fine',
    );
  });

  it('of idempotency are 1 to 256 printable characters', () => {
    expect(idempotencyKey(undefined)).toBeNull();
    expect(idempotencyKey('order-17 "x"')).toBe('order-17 "x"');
    for (const bad of ['', 'ü', 'x'.repeat(257)]) {
      expect(code(() => idempotencyKey(bad))).toBe('invalid-request');
    }
  });

  it('of versions are whole numbers', () => {
    expect(versionHeader('x', undefined)).toBe(0);
    expect(versionHeader('x', '12')).toBe(12);
    for (const bad of ['', '-1', '1e3', '012', '9'.repeat(16)]) {
      expect(code(() => versionHeader('x', bad))).toBe('invalid-request');
    }
  });
});

describe('a request hash', () => {
  it('tells requests apart by every part', () => {
    const hashes = [
      requestHash(['PUT', 'app', 'k', 'text/plain', undefined], Buffer.from('v')),
      requestHash(['PUT', 'app', 'k', 'text/plain', '"1"'], Buffer.from('v')),
      requestHash(['PUT', 'app', 'k2', 'text/plain', undefined], Buffer.from('v')),
      requestHash(['DELETE', 'app', 'k', 'text/plain', undefined], Buffer.from('v')),
      requestHash(['PUT', 'app', 'k', 'text/plain', undefined], Buffer.from('w')),
    ].map((hash) => hash.toString('hex'));
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

describe('the query of configs', () => {
  const PATH = '/v1/namespaces/app/configs';

  it('asks for a listing, or with a key for one value', () => {
    expect(configsQuery(PATH)).toEqual({ asks: 'list', limit: 100, values: true });
    expect(configsQuery(`${PATH}?prefix=db/&limit=7&values=false&minVersion=3`)).toEqual({
      asks: 'list',
      prefix: 'db/',
      limit: 7,
      values: false,
      minVersion: 3,
    });
    expect(configsQuery(`${PATH}?key=db%2Fhost&version=3&timeout=1s`)).toEqual({
      asks: 'value',
      key: 'db/host',
      version: 3,
      timeout: 1_000,
    });
  });

  it.each(['version=3', 'key=a&prefix=', 'key=a&limit=100', 'key=a&cursor=x', 'key=a&values=true'])(
    'is refused when one half of it would be ignored: %s',
    (query) => {
      expect(code(() => configsQuery(`${PATH}?${query}`))).toBe('invalid-request');
    },
  );
});

describe('a list cursor', () => {
  it('is read as it was written, and for no other listing', () => {
    const cursor = { namespace: 'app', prefix: 'db/', version: 12, after: 'db/ü' };
    expect(decodeCursor(encodeCursor(cursor), 'app', 'db/')).toEqual(cursor);
    expect(decodeCursor(encodeCursor(cursor), 'app', undefined)).toEqual(cursor);
    expect(code(() => decodeCursor(encodeCursor(cursor), 'web', 'db/'))).toBe('invalid-request');
    expect(code(() => decodeCursor(encodeCursor(cursor), 'app', 'x'))).toBe('invalid-request');
  });

  it('is refused when somebody made it up', () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const bad of [
      '',
      'x',
      encode(null),
      encode({}),
      encode(['app', '', -1, 'a']),
      encode(['app', '', 1]),
    ]) {
      expect(code(() => decodeCursor(bad, 'app', undefined))).toBe('invalid-request');
    }
  });
});

describe('the body of a change set', () => {
  const parse = (body: unknown) =>
    parseChangeSet(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), false);
  const put = { op: 'put', namespace: 'app', key: 'a', value: 'x' };
  const set = (...operations: unknown[]) => ({ operations });

  it('is read', async () => {
    const { comment, operations } = await parse({
      comment: 'why',
      operations: [
        put,
        {
          ...put,
          key: 'b',
          value: 'AAE=',
          encoding: 'base64',
          contentType: 'application/octet-stream',
          ifVersion: 0,
        },
        { op: 'delete', namespace: 'app', key: 'c', ifVersion: 3 },
      ],
    });
    expect(comment).toBe('why');
    expect(operations).toMatchObject([
      { op: 'put', contentType: 'text/plain', value: Buffer.from('x'), condition: undefined },
      { value: Buffer.from([0, 1]), condition: { type: 'absent' } },
      { op: 'delete', condition: { type: 'version', version: 3 } },
    ]);
  });

  it.each<[unknown, string]>([
    ['', 'invalid-request'],
    ['{', 'invalid-request'],
    ['null', 'invalid-field'],
    [[], 'invalid-field'],
    [{}, 'invalid-field'],
    [set(), 'invalid-field'],
    [{ ...set(put), commnet: 'x' }, 'invalid-field'],
    ['{"operations":[],"__proto__":{}}', 'invalid-field'],
    [set({ ...put, extra: 1 }), 'invalid-field'],
    [set({ ...put, op: 'replace' }), 'invalid-field'],
    [set({ ...put, value: 1 }), 'invalid-field'],
    [set({ ...put, value: undefined }), 'invalid-field'],
    [set({ ...put, ifVersion: -1 }), 'invalid-field'],
    [set({ ...put, ifVersion: '1' }), 'invalid-field'],
    [set({ ...put, encoding: 'hex' }), 'invalid-field'],
    [set({ ...put, value: 'a', encoding: 'base64' }), 'invalid-field'],
    [set({ ...put, value: 'AA=', encoding: 'base64' }), 'invalid-field'],
    [set({ ...put, value: '!!!!', encoding: 'base64' }), 'invalid-field'],
    [set({ op: 'delete', namespace: 'app', key: 'a', value: 'x' }), 'invalid-field'],
    [set({ op: 'delete', namespace: 'app', key: 'a', ifVersion: 0 }), 'invalid-field'],
    [set({ ...put, key: '/a' }), 'invalid-key'],
    [set({ ...put, namespace: 'App' }), 'invalid-key'],
    [set({ ...put, namespace: 'system' }), 'forbidden'],
    [set({ ...put, contentType: 'image/png' }), 'unsupported-content-type'],
    [set({ ...put, value: '\ud800' }), 'invalid-value'],
    [set(put, { op: 'delete', namespace: 'app', key: 'a' }), 'duplicate-key'],
    [set({ ...put, value: 'x'.repeat(1024 * 1024 + 1) }), 'value-too-large'],
    [
      set(...Array.from({ length: 5 }, (_, i) => ({ ...put, key: `k${i}`, value: 'x'.repeat(900_000) }))),
      'value-too-large',
    ],
    [set(...Array.from({ length: 1_001 }, (_, i) => ({ ...put, key: `k${i}` }))), 'invalid-field'],
    [{ comment: 'x'.repeat(1_025), ...set(put) }, 'invalid-field'],
    [{ comment: 'a\u0000', ...set(put) }, 'invalid-field'],
    ['['.repeat(100_000), 'invalid-field'],
    [`{"operations":[${'{},'.repeat(100_000)}{}]}`, 'invalid-field'],
  ])('%#: is refused', async (body, expected) => {
    await expect(parse(body)).rejects.toMatchObject({ code: expected });
  });

  it('has room for the largest set, whatever its bytes are, as base64', async () => {
    const { changeSetBytes, changeSetOperations, changeSetBodyBytes, keyBytes } = LIMITS;
    const value = Buffer.alloc(Math.floor(changeSetBytes / changeSetOperations), 1).toString('base64');
    const operations = Array.from({ length: changeSetOperations }, (_, i) => ({
      op: 'put',
      namespace: 'n'.repeat(63),
      key: `${i}`.padEnd(keyBytes, 'k'),
      value,
      encoding: 'base64',
      contentType: 'text/x-java-properties',
      ifVersion: Number.MAX_SAFE_INTEGER,
    }));
    const body = Buffer.from(JSON.stringify({ comment: 'c'.repeat(1_024), operations }));
    expect(body.length).toBeLessThan(changeSetBodyBytes);
    expect((await parseChangeSet(body, false)).operations).toHaveLength(changeSetOperations);
  });

  it('that is not UTF-8 is refused', async () => {
    for (const body of [Buffer.from([0x22, 0xff, 0x22]), undefined]) {
      await expect(parseChangeSet(body, false)).rejects.toMatchObject({ code: 'invalid-request' });
    }
  });
});
