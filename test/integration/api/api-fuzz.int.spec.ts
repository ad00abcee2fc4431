import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isErrorCode, LIMITS, ROUTES } from '#libs/contracts';
import { type ApiLab, type ApiNode, openApiLab } from './api-lab.js';
import { type RawAnswer, type RawRequest, rawBytes, sendRaw } from './raw-request.js';

let lab: ApiLab;
let node: ApiNode;
let port: number;

beforeAll(async () => {
  lab = await openApiLab();
  node = await lab.node('node-1');
  await lab.elect(node);
  port = Number(new URL(node.address).port);
});
afterAll(() => lab.close());

const hostileText = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    ...[
      '',
      '0',
      '-1',
      '1e9',
      '9999999999999999999',
      'NaN',
      'null',
      'true',
      '*',
      '"',
      '"1"',
      'W/"1"',
      '%',
      '%00',
    ],
    ...[
      '%ff',
      '%C0%80',
      '%ED%A0%80',
      '..',
      '../..',
      '%2e%2e%2f',
      '%2F',
      '//',
      'a//b',
      '{}',
      '[]',
      '__proto__',
    ],
    ...[
      'constructor',
      'system',
      'system.x',
      'App',
      'x'.repeat(70),
      'x'.repeat(600),
      '%25'.repeat(300),
      '\u00e9',
    ],
    ...["'; drop table config.changes; --", '{{7*7}}', '<script>', 'a\tb'],
  ),
);

const encoded = hostileText.map((text) => encodeURIComponent(text.toWellFormed()));
/** In a request line and in headers: anything but what would end the line. */
const inLine = fc.oneof(
  encoded,
  hostileText.map((text) =>
    Buffer.from(text)
      .toString('latin1')
      .replace(/[\r\n\0 ]/g, '_'),
  ),
);

const segment = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('app', 'fuzz', 'a/b', 'k') },
  { weight: 2, arbitrary: inLine },
);

const parameter = fc.tuple(
  fc.constantFrom(
    ...[
      'minVersion',
      'timeout',
      'consistency',
      'version',
      'prefix',
      'limit',
      'cursor',
      'values',
      'key',
      'comment',
    ],
    ...['after', 'namespace', 'from', 'to', 'initial', 'w', 'unknown', '', '__proto__'],
  ),
  fc.oneof(inLine, fc.constantFrom('0', '1', '5', 'linearizable', 'true')),
);

const header = fc.oneof(
  fc.tuple(
    fc.constantFrom(
      ...['If-Match', 'If-None-Match', 'Idempotency-Key', 'Holdfast-Comment', 'Holdfast-Author'],
      ...['Holdfast-Min-Version', 'Last-Event-ID', 'Accept', 'Content-Type', 'Content-Encoding', 'Origin'],
      ...[
        'Holdfast-Cluster-Key',
        'Holdfast-Aim-Term',
        'Holdfast-Attempt',
        'Holdfast-Forward',
        'X-Request-Id',
      ],
      ...['traceparent', 'Range', 'Expect', 'X-Forwarded-Host', 'Cookie'],
    ),
    inLine,
  ),
  fc.tuple(
    fc.constant('Content-Type'),
    fc.constantFrom(
      'application/json',
      'application/yaml',
      'application/toml',
      'text/plain',
      'text/x-java-properties',
    ),
  ),
);

const operation = fc.record(
  {
    op: fc.oneof(fc.constantFrom('put', 'delete'), fc.anything()),
    namespace: fc.oneof(fc.constantFrom('app', 'fuzz'), hostileText),
    key: hostileText,
    value: fc.oneof(hostileText, fc.anything()),
    encoding: fc.oneof(fc.constant('base64'), fc.anything()),
    contentType: fc.oneof(fc.constantFrom('application/json', 'application/yaml'), hostileText),
    ifVersion: fc.oneof(fc.integer(), fc.anything()),
    extra: fc.anything(),
  },
  { requiredKeys: [] },
);

const body = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.json().map((text) => Buffer.from(text)),
  fc
    .record(
      { comment: fc.oneof(hostileText, fc.anything()), operations: fc.array(operation, { maxLength: 4 }) },
      { requiredKeys: [] },
    )
    .map(toJson),
  fc
    .record({ toVersion: fc.oneof(fc.integer(), fc.anything()), comment: hostileText }, { requiredKeys: [] })
    .map(toJson),
  hostileText.map((text) => Buffer.from(text)),
);

function toJson(value: unknown): Buffer {
  return Buffer.from(
    JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)) ?? '',
  );
}

const request: fc.Arbitrary<RawRequest> = fc
  .record({
    route: fc.constantFrom(...ROUTES.filter(({ servedBy }) => servedBy.includes('node'))),
    namespace: segment,
    key: segment,
    otherMethod: fc.option(
      fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'),
      { freq: 8 },
    ),
    query: fc.array(parameter, { maxLength: 3 }),
    headers: fc.array(header, { maxLength: 4 }),
    body,
  })
  .map(({ route, namespace, key, otherMethod, query, headers, body: sent }) => {
    const method = otherMethod ?? route.method.toUpperCase();
    const path = route.path.replace('{ns}', () => namespace).replace('{key}', () => key);
    // Whatever waits, waits for a moment only.
    const waits = query.some(([name]) => name === 'minVersion')
      ? [...query.filter(([name]) => name !== 'timeout'), ['timeout', '5ms']]
      : query;
    const pairs = waits.map(([name, value]) => `${name}=${value}`);
    const target = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
    const bodyless = method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE';
    return {
      method,
      target,
      headers: [['Host', '127.0.0.1'], ['Connection', 'close'], ...headers],
      body: bodyless ? Buffer.alloc(0) : sent,
    };
  });

/** 2xx and 3xx for what happens to be right, else a problem with a code; 504 only for a version to come. */
function demandDecent(answer: RawAnswer | undefined, method: string): void {
  expect(answer).toBeDefined();
  if (answer === undefined || answer.status < 400) return;
  if (method === 'HEAD') {
    expect(answer.status === 504 || answer.status < 500).toBe(true);
    return;
  }
  expect(answer.headers['content-type']).toBe('application/problem+json');
  const problem = JSON.parse(answer.body.toString());
  expect(isErrorCode(problem.code)).toBe(true);
  expect(problem.status).toBe(answer.status);
  if (answer.status >= 500) expect(problem.code).toBe('version-not-reached');
}

async function demandAlive(): Promise<void> {
  const answer = await sendRaw(
    port,
    Buffer.from('GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n'),
  );
  expect(answer?.status).toBe(200);
}

describe('bad input', () => {
  it('of any kind gets an answer below 500 with a code', async () => {
    await fc.assert(
      fc.asyncProperty(request, async (sent) => {
        const answer = await sendRaw(port, rawBytes(sent));
        demandDecent(answer, sent.method);
      }),
      { numRuns: 4_000, endOnFailure: false },
    );
    await demandAlive();
  }, 180_000);

  it.each([
    ['nonsense', 'nonsense\r\n\r\n'],
    ['no host', 'GET /v1/namespaces HTTP/1.1\r\n\r\n'],
    ['an unknown method', 'FROB /v1/namespaces HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'],
    [
      'an absolute target',
      'GET http://127.0.0.1/v1/namespaces HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n',
    ],
    ['a star', 'OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n'],
    [
      'a negative length',
      'PUT /v1/namespaces/app/configs/a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n',
    ],
    [
      'a huge length',
      'PUT /v1/namespaces/app/configs/a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\nx',
    ],
    [
      'two lengths',
      'PUT /v1/namespaces/app/configs/a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx',
    ],
    [
      'length and chunks',
      'PUT /v1/namespaces/app/configs/a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'broken chunks',
      'PUT /v1/namespaces/app/configs/a HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n',
    ],
    ['a folded header', 'GET /v1/namespaces HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\n c\r\n\r\n'],
    [
      'headers without end',
      `GET /v1/namespaces HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ${'x'.repeat(LIMITS.requestHeadBytes)}\r\n\r\n`,
    ],
    [
      'a target without end',
      `GET /v1/namespaces/${'a'.repeat(LIMITS.requestHeadBytes)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
    ],
    [
      'an upgrade',
      'GET /v1/namespaces HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n',
    ],
  ])('%s does no harm', async (_, text) => {
    const answer = await sendRaw(port, Buffer.from(text, 'latin1'));
    if (answer !== undefined) expect(answer.status).toBeLessThan(500);
    await demandAlive();
  });

  it('that is cut short does no harm', async () => {
    const whole = rawBytes({
      method: 'PUT',
      target: '/v1/namespaces/app/configs/cut',
      headers: [['Host', '127.0.0.1']],
      body: Buffer.alloc(100_000, 'x'),
    });
    for (const length of [10, 60, 100, 5_000, 99_000]) {
      await new Promise<void>((resolve) => {
        sendRaw(port, whole.subarray(0, length), 100).then(
          () => resolve(),
          () => resolve(),
        );
      });
    }
    await demandAlive();
    const answer = await node.client.request('GET', '/v1/namespaces/app/configs/cut');
    expect(answer.status).toBe(404);
  });

  it('leaves the log as it should be', async () => {
    const { rows } = await lab.storage.admin.query<{ gaps: string }>(
      'select count(*) as gaps from (select version - lag(version) over (order by version) as step from config.changes) s where step > 1',
    );
    expect(Number(rows[0]?.gaps)).toBe(0);
    expect(node.engine.publisher.isLeading).toBe(true);
  });
});
