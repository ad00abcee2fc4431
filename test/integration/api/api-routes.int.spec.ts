import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROUTES, type Route, routerPath } from '#libs/contracts';
import { type Answer, ApiClient } from '#libs/testing';
import { type RunningGateway, startGateway } from '../gateway/running-gateway.js';
import { type ApiLab, type ApiNode, CLUSTER_KEY, openApiLab } from './api-lab.js';
import { bodyOf } from './requests.js';

let lab: ApiLab;
let node: ApiNode;
let gateway: RunningGateway;

beforeAll(async () => {
  lab = await openApiLab();
  node = await lab.node('node-1');
  await lab.elect(node);
  gateway = await startGateway([], {
    HOLDFAST_NODES: `node-1=${node.address}`,
    HOLDFAST_CLUSTER_KEY: CLUSTER_KEY,
  });
});
afterAll(async () => {
  await gateway.stop();
  await lab.close();
});

const missingAt = (fastify: FastifyInstance, server: 'node' | 'gateway') =>
  ROUTES.filter(({ servedBy }) => servedBy.includes(server))
    .filter(
      (route) => !fastify.hasRoute({ method: route.method.toUpperCase() as 'GET', url: routerPath(route) }),
    )
    .map(({ id }) => id);

describe('the table of routes', () => {
  it('names nothing that a node does not serve', () => {
    expect(missingAt(node.fastify, 'node')).toEqual([]);
  });

  it('names nothing that a gateway does not serve', () => {
    expect(missingAt(gateway.service.app.getHttpAdapter().getInstance(), 'gateway')).toEqual([]);
  });
});

/** One request that succeeds for each route, in this order. */
const REQUESTS: Readonly<Record<string, { path: string; body?: string; type?: string; accept?: string }>> = {
  putConfig: { path: '/v1/namespaces/routes/configs/a/b', body: '{"a":1}', type: 'application/json' },
  putConfigByQuery: { path: '/v1/namespaces/routes/configs?key=a%2Fb', body: 'x', type: 'text/plain' },
  getConfig: { path: '/v1/namespaces/routes/configs/a/b?minVersion=1' },
  headConfig: { path: '/v1/namespaces/routes/configs/a/b' },
  listConfigs: { path: '/v1/namespaces/routes/configs?limit=1' },
  postChanges: {
    path: '/v1/changes',
    type: 'application/json',
    body: JSON.stringify({ operations: [{ op: 'put', namespace: 'routes', key: 'c', value: 'x' }] }),
  },
  getChanges: { path: '/v1/changes?limit=5' },
  getHistory: { path: '/v1/namespaces/routes/history/a/b' },
  getHistoryByQuery: { path: '/v1/namespaces/routes/history?key=a/b' },
  getDiff: { path: '/v1/namespaces/routes/diff/a/b' },
  getDiffByQuery: { path: '/v1/namespaces/routes/diff?key=a/b' },
  postRollback: {
    path: '/v1/namespaces/routes/rollback/a/b',
    type: 'application/json',
    body: '{"toVersion":VERSION}',
  },
  postRollbackByQuery: {
    path: '/v1/namespaces/routes/rollback?key=a/b',
    type: 'application/json',
    body: '{"toVersion":VERSION}',
  },
  getNamespaces: { path: '/v1/namespaces' },
  watchNamespace: { path: '/v1/namespaces/routes/watch?from=0&wait=1s', accept: 'application/json' },
  watch: { path: '/v1/watch?w=routes:a&from=0&wait=1s', accept: 'application/json' },
  deleteConfig: { path: '/v1/namespaces/routes/configs/c' },
  deleteConfigByQuery: { path: '/v1/namespaces/routes/configs?key=a%2Fb' },
};

const routeOf = (id: string): Route => {
  const route = ROUTES.find((candidate) => candidate.id === id);
  if (route === undefined) throw new Error(`no route ${id}`);
  return route;
};

describe.each(['node', 'gateway'] as const)('a %s', (server) => {
  it('answers every request of the tables with what the document promises', async () => {
    const client = new ApiClient(server === 'node' ? node.address : gateway.base);
    const served = ROUTES.filter(({ tag }) => tag !== 'Cluster').map(({ id }) => id);
    expect(Object.keys(REQUESTS).sort()).toEqual([...served].sort());
    let version = 0;
    for (const [id, { path, body, type, accept }] of Object.entries(REQUESTS)) {
      const route = routeOf(id);
      const answer = await client.request(route.method.toUpperCase(), path, {
        ...(body === undefined ? {} : { body: body.replace('VERSION', String(version)) }),
        headers: { 'content-type': type, accept },
      });
      demandPromised(route, answer);
      if (id === 'putConfig') version = bodyOf(answer).version;
    }
    await client.close();
  });
});

function demandPromised({ id, answers, tag, method }: Route, answer: Answer): void {
  const promised = answers[answer.status];
  expect([id, answer.status, promised === undefined ? answer.body.toString() : '']).toEqual([
    id,
    answer.status,
    '',
  ]);
  if (tag !== 'Cluster') expect(answer.headers).toHaveProperty('holdfast-version');
  if (promised?.etag) expect(answer.headers).toHaveProperty('etag');
  const [type = ''] = (answer.headers['content-type'] ?? '').split(';');
  const schema = promised?.content?.[type];
  if (schema) schema.parse(bodyOf(answer));
  else if (method !== 'head')
    expect(promised?.content).toHaveProperty([type in (promised?.content ?? {}) ? type : '*/*']);
}
