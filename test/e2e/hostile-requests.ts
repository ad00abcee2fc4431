import type { Rng } from '#libs/kernel';

/** A request as bytes: what no client library would send must be survived as well. */
export interface HostileRequest {
  line: string;
  bytes: Buffer;
}

type Pick = <T>(choices: readonly T[]) => T;

const METHODS = ['GET', 'GET', 'PUT', 'PUT', 'POST', 'POST', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'BREW'];

const SEGMENTS = [
  'app',
  'system',
  'system.x',
  'A',
  '-a',
  'a..b',
  'a'.repeat(64),
  'a'.repeat(5_000),
  '%00',
  '%ff',
  '%zz',
  '%',
  '%2F',
  '%2e%2e',
  '..',
  '.',
  '',
  '%E2%82%AC',
  '%F0%9F%98%80',
  '%ED%A0%80',
  'a%0ab',
  '__proto__',
  'constructor',
  'x%2Fy',
  '*',
];

const PATHS = [
  '/v1/namespaces/{}/configs/{}',
  '/v1/namespaces/{}/configs/{}/{}',
  '/v1/namespaces/{}/configs',
  '/v1/namespaces',
  '/v1/changes',
  '/v1/namespaces/{}/history/{}',
  '/v1/namespaces/{}/diff/{}',
  '/v1/namespaces/{}/rollback/{}',
  '/v1/namespaces/{}/watch',
  '/v1/watch',
  '/v1/cluster',
  '/v1/nodes/{}',
  '/v1/nodes/{}/drain',
  '/v1/cluster/elections',
  '/v1/cluster/handover',
  '/v1/events',
  '/ping',
  '/health',
  '/metrics',
  '/sync',
  '/internal/log',
  '/{}',
  '/v1/{}/{}',
];

const PARAMETERS = [
  'prefix',
  'limit',
  'cursor',
  'values',
  'after',
  'from',
  'to',
  'namespace',
  'version',
  'minVersion',
  'timeout',
  'consistency',
  'comment',
  'key',
  'w',
  'wait',
  'initial',
  'nobody-knows-this',
];

const VALUES = [
  '',
  '0',
  '1',
  '-1',
  '1.5',
  '1e999',
  'NaN',
  'null',
  'true',
  '99999999999999999999',
  '9007199254740993',
  '%00',
  '%ff',
  '%',
  'a:b',
  'app:',
  ':',
  '1s',
  '-1s',
  '999h',
  '[]',
  '{}',
  'x'.repeat(3_000),
  '%F0%9F%98%80',
  "'; drop table x; --",
];

const HEADERS = [
  'If-Match',
  'If-None-Match',
  'Idempotency-Key',
  'Content-Type',
  'Accept',
  'Holdfast-Comment',
  'Holdfast-Author',
  'Holdfast-Min-Version',
  'Last-Event-ID',
  'Holdfast-Cluster-Key',
  'Holdfast-Aim-Term',
  'Holdfast-Forwarded',
  'Origin',
  'X-Request-Id',
  'Content-Encoding',
  'Expect',
  'Range',
  'Traceparent',
  'Authorization',
];

const HEADER_VALUES = [
  '',
  '*',
  '"1"',
  '"-1"',
  'W/"1"',
  '"1", "2"',
  '1',
  'x',
  'x'.repeat(300),
  'x'.repeat(9_000),
  '%ff%fe',
  '%E0%A4%A',
  '%00',
  '\u00ff\u00fe',
  'image/png',
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'application/yaml',
  'gzip',
  '100-continue',
  'http://evil.example',
  'bytes=0-1',
  '99999999999999999999',
];

const BODIES: readonly (string | Buffer)[] = [
  '',
  'x',
  '{',
  '[]',
  'null',
  '1',
  '"x"',
  '{}',
  '\u0000',
  Buffer.from([0xff, 0xfe, 0xc0]),
  '['.repeat(50_000),
  '{"operations":[]}',
  '{"operations":1}',
  '{"operations":[null]}',
  '{"operations":[{"op":"put"}]}',
  '{"operations":[{"op":"put","namespace":"app","key":"k","value":1}]}',
  '{"operations":[{"op":"put","namespace":"app","key":"k","value":"%%","encoding":"base64"}]}',
  '{"operations":[{"op":"delete","namespace":"app","key":"none","ifVersion":-1}]}',
  '{"operations":[{"op":"put","namespace":"app","key":"\\ud800","value":"x"}]}',
  '{"operations":[{"op":"put","namespace":"app","key":"k","value":"x","extra":1}]}',
  '{"__proto__":{"operations":[]},"operations":[]}',
  '{"toVersion":0}',
  '{"toVersion":"1"}',
  '{"toVersion":1e999}',
  '{"toVersion":99999999999999}',
  '{"to":1}',
  '{"to":"nobody"}',
  Buffer.alloc(1024 * 1024 + 1, 'x'),
];

export function hostileRequest(rng: Rng): HostileRequest {
  const pick: Pick = (choices) => choices[rng.int(choices.length)] as (typeof choices)[number];
  const path = pick(PATHS).replaceAll('{}', () => pick(SEGMENTS));
  const query = times(rng.int(3), () => `${pick(PARAMETERS)}=${pick(VALUES)}`).join('&');
  const method = pick(METHODS);
  const body = Buffer.from(method === 'GET' || method === 'HEAD' ? '' : pick(BODIES));
  const line = `${method} ${path}${query && `?${query}`} HTTP/1.1`;
  const headers = times(rng.int(4), () => `${pick(HEADERS)}: ${pick(HEADER_VALUES)}`);
  // Otherwise most POSTs would end at their type.
  if (rng.next() < 0.5) headers.push('Content-Type: application/json');
  const head = [line, 'Host: 127.0.0.1', 'Connection: close', `Content-Length: ${body.length}`, ...headers];
  return { line, bytes: Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]) };
}

/** Bytes that are not even HTTP. */
export const NOT_HTTP: readonly Buffer[] = [
  Buffer.from('\r\n\r\n\r\n'),
  Buffer.from('GET\r\n\r\n'),
  Buffer.from('GET / HTTP/9.9\r\n\r\n'),
  Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'),
  Buffer.from('PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n'),
  Buffer.from(
    'PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ),
  Buffer.from('PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'),
  Buffer.from(`GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`),
  Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]),
];

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}
