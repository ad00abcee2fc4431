import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, type RunningGateway, startGateway } from './running-gateway.js';

let gateway: RunningGateway;
beforeAll(async () => {
  gateway = await startGateway([]);
});
afterAll(() => gateway.stop());

const get = (path: string) => ask(gateway.base, 'GET', path);

describe('the documents that a gateway serves', () => {
  it('lead from the door to the docs, and load nothing from elsewhere', async () => {
    const door = await get('/');
    expect([door.status, door.headers.location]).toEqual([302, '/docs']);
    const page = await get('/docs');
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    expect(page.text).not.toContain('://');
    for (const [, path] of page.text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      expect((await get(path ?? '')).status).toBe(200);
    }
    expect((await get('/docs/package.json')).status).toBe(404);
    expect((await get('/docs/..%2fpackage.json')).status).toBe(404);
  });

  it('describe the interface', async () => {
    const { status, headers, text } = await get('/openapi.json');
    expect([status, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
    const document = JSON.parse(text);
    expect(document.openapi).toMatch(/^3\.1/);
    expect(document.info.version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(Object.keys(document.paths)).toContain('/v1/cluster');
  });

  it('every documented path is served, and by the documented methods only', async () => {
    const { paths } = JSON.parse((await get('/openapi.json')).text);
    for (const [template, methods] of Object.entries<Record<string, unknown>>(paths)) {
      const path = template.replaceAll(/\{[^}]+\}/g, 'x');
      const { status, headers } = await ask(gateway.base, 'PATCH', path);
      expect([path, status]).toEqual([path, 405]);
      const allowed = String(headers.allow).toLowerCase().split(', ');
      expect([path, allowed]).toEqual([path, expect.arrayContaining(Object.keys(methods))]);
    }
  });

  it.each([
    ['/v1/events?after=-1', {}, 400, 'invalid-request'],
    ['/v1/events', { origin: 'https://evil.example' }, 403, 'forbidden'],
    ['/v1/namespaces/app/watch?from=x', {}, 400, 'invalid-request'],
    ['/v1/namespaces/app/configs/a', { host: 'evil.example' }, 403, 'forbidden'],
    ['/v1/cluster?x=1', {}, 400, 'invalid-request'],
    ['/openapi.json', { host: 'evil.example' }, 403, 'forbidden'],
    ['/nowhere', {}, 404, 'not-found'],
  ])('%s %j is refused in the form of all errors', async (path, headers, status, code) => {
    const answer = await ask(gateway.base, 'GET', path, { headers: { ...headers } });
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/problem+json']);
    expect(JSON.parse(answer.text)).toMatchObject({ status, code, instance: path });
  });

  it('is not ready without a node, and names what is missing', async () => {
    const { status, text } = await get('/health');
    expect(status).toBe(503);
    expect(JSON.parse(text).checks).toMatchObject({
      nodes: { ok: false },
      leader: { ok: false },
      nats: { ok: false },
      registry: { ok: false },
    });
  });
});
