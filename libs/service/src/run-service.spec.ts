import type { Server } from 'node:http';
import { connect } from 'node:net';
import { Controller, Get, Module } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS, Problem } from '#libs/contracts';
import { createLogger, Metrics, Readiness } from '#libs/observability';
import { PublicGuard } from './public-guard.js';
import { REQUEST_TIMEOUT_MS, type RunningService, startService } from './run-service.js';

@Controller()
class HelloController {
  @Get('/v1/hello')
  hello() {
    return { hello: 'world' };
  }
  @Get('/v1/broken')
  broken() {
    throw new Error('secret detail');
  }
}

@Module({ controllers: [HelloController] })
class HelloModule {}

const CLUSTER_KEY = 'k'.repeat(32);
let service: RunningService;
let base: string;
const readiness = new Readiness();
let storageOk = true;

beforeAll(async () => {
  readiness.add('storage', () => ({ ok: storageOk }), { required: true });
  readiness.add('bus', () => ({ ok: false, detail: 'away' }), { required: false });
  service = await startService({
    module: HelloModule,
    logger: createLogger({ service: 'test', node: 't-1', level: 'silent' }),
    metrics: new Metrics('test', 't-1'),
    guard: new PublicGuard({
      publicHosts: ['127.0.0.1'],
      corsOrigins: ['https://console.example'],
      clusterKey: CLUSTER_KEY,
    }),
    readiness,
    ping: () => ({ alive: true }),
    configure: (fastify) => {
      fastify.get('/v1/raw/:id', async (request) => request.params);
      fastify.post('/v1/raw', async (request) => request.body);
      fastify.get('/v1/refuse', async () => {
        throw new Problem('cluster-busy', 'too much', { queue: 9 });
      });
      fastify.get('/internal/door', async () => 'open');
    },
    listen: { port: 0, host: '127.0.0.1' },
  });
  base = `http://127.0.0.1:${service.port}`;
});
afterAll(() => service.stop());

function rawAnswer(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(service.port, '127.0.0.1', () => socket.write(request));
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString();
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

describe('a service process', () => {
  it.each([
    ['GET', '/v1/nothing', {}, 404, 'not-found'],
    ['PUT', '/v1/hello', {}, 405, 'method-not-allowed'],
    ['DELETE', '/v1/raw/7', {}, 405, 'method-not-allowed'],
    ['GET', '/v1/raw/%zz', {}, 400, 'invalid-request'],
    ['GET', '/v1/refuse', {}, 429, 'cluster-busy'],
    ['GET', '/v1/broken', {}, 500, 'internal'],
    ['GET', '/v1/hello', { origin: 'https://evil.example' }, 403, 'forbidden'],
    ['GET', '/internal/door', {}, 403, 'forbidden'],
    ['GET', '/%69nternal/door', {}, 404, 'not-found'],
    ['GET', '/internal/d%6for', {}, 404, 'not-found'],
    ['GET', '/v1/r%61w/7', {}, 404, 'not-found'],
    ['POST', '/v1/raw', { 'content-type': 'application/json' }, 400, 'invalid-request'],
    ['POST', '/v1/raw', { 'content-type': 'text/html' }, 415, 'unsupported-content-type'],
  ])('%s %s %j -> %d %s', async (method, path, headers, status, code) => {
    const body = method === 'POST' ? '{"broken' : undefined;
    const response = await fetch(base + path, { method, headers, ...(body ? { body } : {}) });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    const problem = (await response.json()) as Record<string, unknown>;
    expect(problem).toMatchObject({ status, code, instance: path });
    expect(JSON.stringify(problem)).not.toContain('secret detail');
  });

  it('answers what is not HTTP, and headers beyond measure, with a problem', async () => {
    expect(await rawAnswer('NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1.1 400 .*"code":"invalid-request"/s);
    const long = `GET /v1/hello HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'x'.repeat(LIMITS.requestHeadBytes)}\r\n\r\n`;
    expect(await rawAnswer(long)).toMatch(/^HTTP\/1.1 431 .*"code":"headers-too-large"/s);
  });

  it('takes a target in absolute form for what it means', async () => {
    const get = (target: string) =>
      rawAnswer(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
    expect(await get('http://127.0.0.1/v1/raw/7')).toMatch(/^HTTP\/1.1 200 .*{"id":"7"}/s);
    expect(await get('http://127.0.0.1/internal/door')).toMatch(/^HTTP\/1.1 403 /);
    expect(await get('HTTP://127.0.0.1')).toMatch(/^HTTP\/1.1 404 /);
  });

  it('answers an expectation that it cannot meet with a problem', async () => {
    const request = 'GET /v1/hello HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: miracles\r\n\r\n';
    expect(await rawAnswer(request)).toMatch(/^HTTP\/1.1 400 .*"code":"invalid-request"/s);
  });

  it('tells the allowed methods and when to come back', async () => {
    expect((await fetch(`${base}/v1/hello`, { method: 'PUT' })).headers.get('allow')).toBe('GET, HEAD');
    expect((await fetch(`${base}/v1/refuse`)).headers.get('retry-after')).toBe('1');
  });

  it('opens internal doors to the cluster only', async () => {
    const response = await fetch(`${base}/internal/door`, {
      headers: { 'holdfast-cluster-key': CLUSTER_KEY },
    });
    expect(await response.text()).toBe('open');
  });

  it('returns the request id it was given', async () => {
    const response = await fetch(`${base}/v1/hello`, { headers: { 'x-request-id': 'abc' } });
    expect(response.headers.get('x-request-id')).toBe('abc');
    const traced = await fetch(`${base}/v1/hello`, {
      headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
    });
    expect(traced.headers.get('x-request-id')).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
  });

  it('lets an allowed page in and exposes what it needs', async () => {
    const origin = 'https://console.example';
    const response = await fetch(`${base}/v1/hello`, { headers: { origin } });
    expect(response.headers.get('access-control-allow-origin')).toBe(origin);
    expect(response.headers.get('access-control-expose-headers')).toContain('holdfast-version');
    const preflight = await fetch(`${base}/v1/hello`, { method: 'OPTIONS', headers: { origin } });
    expect(preflight.status).toBe(204);
  });

  it('is alive, and ready only with what it requires', async () => {
    expect(await (await fetch(`${base}/ping`)).json()).toEqual({ alive: true });
    expect((await fetch(`${base}/health`)).status).toBe(200);
    storageOk = false;
    const unready = await fetch(`${base}/health`);
    expect(unready.status).toBe(503);
    expect(await unready.json()).toMatchObject({
      checks: { storage: { ok: false }, bus: { detail: 'away' } },
    });
    expect(await (await fetch(`${base}/metrics`)).text()).toContain('holdfast_http_request_seconds');
  });
});

describe('report 9e: requests that no server should guess about', () => {
  it.each([
    ['no Host', 'GET /v1/hello HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'invalid-request'],
    [
      'two Host lines',
      'GET /v1/hello HTTP/1.1\r\nHost: 127.0.0.1\r\nhost: 127.0.0.1\r\nConnection: close\r\n\r\n',
      400,
      'invalid-request',
    ],
    [
      'two Host lines at a probe',
      'GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
      400,
      'invalid-request',
    ],
    ['an empty Host', 'GET /v1/hello HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n', 403, 'forbidden'],
  ])('%s', async (_, request, status, code) => {
    const [head = '', body = ''] = (await rawAnswer(request)).split('\r\n\r\n');
    expect(head).toContain(`HTTP/1.1 ${status} `);
    expect(head.toLowerCase()).toContain('content-type: application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ status, code });
  });

  it('a body that never comes: 408 as soon as the time is over', async () => {
    const server: Server = service.app.getHttpServer();
    server.headersTimeout = 200;
    server.requestTimeout = 200;
    const begun = performance.now();
    const [head = '', body = ''] = (
      await rawAnswer(
        'POST /v1/raw HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n',
      )
    ).split('\r\n\r\n');
    server.requestTimeout = REQUEST_TIMEOUT_MS;
    server.headersTimeout = REQUEST_TIMEOUT_MS;
    expect(head).toContain('HTTP/1.1 408 ');
    expect(head).toContain('application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ status: 408, code: 'request-timeout' });
    expect(performance.now() - begun).toBeLessThan(20_000); // looked for once in 30 s, it would come later
  });
});
