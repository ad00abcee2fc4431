import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DockerDriver } from '../../apps/failover/src/drivers/docker-driver.js';
import { HttpDriver } from '../../apps/failover/src/drivers/http-driver.js';
import { KubernetesDriver } from '../../apps/failover/src/drivers/kubernetes-driver.js';
import { LocalDriver } from '../../apps/failover/src/drivers/local-driver.js';
import type { RestartDriver, RestartResult } from '../../apps/failover/src/drivers/restart-driver.js';

const KEY = 'a-secret-of-the-cluster';
const FIXTURES = resolve(import.meta.dirname, '../fixtures');
const silent = new AbortController().signal;

interface Asked {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
}
type Reply = [status: number, body?: unknown];

let home: string;
let closers: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-drivers-'));
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  await rm(home, { recursive: true, force: true });
});

/** A server that notes what it is asked and answers what the test says; undefined = nothing, ever. */
function listener(asked: Asked[], reply: (asked: Asked) => Reply | undefined): RequestListener {
  return (request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://any');
      const { method = '', headers } = request;
      const one = { method, path: url.pathname, query: url.searchParams, headers, body };
      asked.push(one);
      const answer = reply(one);
      if (!answer) return;
      const [status, content] = answer;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(content === undefined ? undefined : JSON.stringify(content));
    });
  };
}

async function listen(server: Server, at: string | number): Promise<number> {
  await new Promise<void>((done) =>
    typeof at === 'string' ? server.listen(at, done) : server.listen(at, '127.0.0.1', done),
  );
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  return typeof at === 'string' ? 0 : (server.address() as AddressInfo).port;
}

async function restart(driver: RestartDriver, nodeId = 'node-1', address?: string): Promise<RestartResult> {
  closers.push(() => driver.close());
  return driver.restart({ nodeId, address }, silent);
}

describe('the driver of the Docker engine', () => {
  const ID = 'c'.repeat(64);

  /** ContainerList and ContainerRestart of the Engine API 1.44, as far as they are used. */
  async function engine(containers: { label?: string; name: string }[], restarted: Reply = [204]) {
    const asked: Asked[] = [];
    const socket = join(home, 'docker.sock');
    const reply = (one: Asked): Reply => {
      if (one.method === 'GET' && one.path === '/v1.44/containers/json') return list(one);
      if (one.method === 'POST' && one.path === `/v1.44/containers/${ID}/restart`) return restarted;
      return [404, { message: 'page not found' }];
    };
    const list = ({ query }: Asked): Reply => {
      const filters = JSON.parse(query.get('filters') ?? '{}') as Record<string, string[]>;
      if (query.get('all') !== 'true') return [400, { message: 'a stopped container would be missed' }];
      const unknown = Object.keys(filters).filter((filter) => !['label', 'name'].includes(filter));
      if (unknown.length > 0) return [400, { message: `invalid filter '${unknown[0]}'` }];
      const found = containers.filter(
        ({ label, name }) =>
          (filters.label ?? []).every((wanted) => wanted === label) &&
          (filters.name ?? []).every((pattern) => new RegExp(pattern).test(`/${name}`)),
      );
      return [200, found.map(({ name }) => ({ Id: ID, Names: [`/${name}`], State: 'exited' }))];
    };
    await listen(createServer(listener(asked, reply)), socket);
    return { driver: new DockerDriver(socket), asked };
  }

  it.each([
    ['our label', { label: 'io.holdfast.node=node-1', name: 'x' }],
    ['its service in Compose', { label: 'com.docker.compose.service=node-1', name: 'holdfast-node-1-1' }],
    ['its name', { name: 'node-1' }],
  ])('restarts the container that is known by %s', async (_what, container) => {
    const { driver, asked } = await engine([container, { name: 'node-11' }, { name: 'my-node-1' }]);
    expect(await restart(driver)).toEqual({ outcome: 'done' });
    expect(asked.at(-1)).toMatchObject({ method: 'POST', path: `/v1.44/containers/${ID}/restart` });
    expect(asked.at(-1)?.query.get('t')).toBe('2');
  });

  it('does not choose between two, nor restart anything when there is none', async () => {
    const two = await engine([
      { name: 'a', label: 'io.holdfast.node=node-1' },
      { name: 'b', label: 'io.holdfast.node=node-1' },
    ]);
    expect(await restart(two.driver)).toMatchObject({
      outcome: 'refused',
      detail: '2 containers are node-1: /a, /b',
    });
    expect(two.asked.every(({ method }) => method === 'GET')).toBe(true);
    expect(await restart(two.driver, 'node-2')).toMatchObject({ outcome: 'unknown-node' });
  });

  it('tells what the engine says, and when there is none', async () => {
    const { driver } = await engine([{ name: 'node-1' }], [500, { message: 'cannot stop: no space left' }]);
    expect(await restart(driver)).toEqual({
      outcome: 'refused',
      detail: 'the Docker engine answered 500: cannot stop: no space left',
    });
    expect(await restart(new DockerDriver(join(home, 'none.sock')))).toMatchObject({
      outcome: 'unreachable',
    });
  });
});

describe('the driver of Kubernetes', () => {
  const PODS = '/api/v1/namespaces/config/pods';
  interface Pod {
    name: string;
    uid: string;
    deletionTimestamp?: string;
  }

  /** listNamespacedPod and deleteNamespacedPod of core/v1, behind TLS and a bearer token. */
  async function api(pods: Pod[], deleted: (asked: Asked) => Reply = () => [200, { kind: 'Pod' }]) {
    const asked: Asked[] = [];
    const reply = (one: Asked): Reply => {
      if (one.headers.authorization !== 'Bearer token-1') return [401, { message: 'Unauthorized' }];
      if (one.method === 'GET' && one.path === PODS) {
        const mine = one.query.get('labelSelector') === 'holdfast.io/node=node-1' ? pods : [];
        return [200, { kind: 'PodList', apiVersion: 'v1', items: mine.map((metadata) => ({ metadata })) }];
      }
      if (one.method === 'DELETE' && one.path.startsWith(`${PODS}/`)) return deleted(one);
      return [404, { kind: 'Status', message: 'not found' }];
    };
    const [key, cert] = await Promise.all(
      ['key', 'crt'].map((it) => readFile(join(FIXTURES, `tls-test.${it}`))),
    );
    const port = await listen(createTlsServer({ key, cert }, listener(asked, reply)), 0);
    await writeFile(join(home, 'ca.crt'), cert ?? '');
    await writeFile(join(home, 'token'), 'token-1\n');
    await writeFile(join(home, 'namespace'), 'config');
    const settings = { api: `https://127.0.0.1:${port}`, namespace: undefined, credentials: home };
    return { driver: new KubernetesDriver(settings), asked };
  }

  it('deletes the pod of the node, and only that very pod', async () => {
    const { driver, asked } = await api([{ name: 'holdfast-0', uid: 'uid-1' }]);
    expect(await restart(driver)).toEqual({ outcome: 'done' });
    const last = asked.at(-1);
    expect(last).toMatchObject({ method: 'DELETE', path: `${PODS}/holdfast-0` });
    expect(JSON.parse(last?.body ?? '')).toEqual({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      gracePeriodSeconds: 5,
      preconditions: { uid: 'uid-1' },
    });
  });

  it.each([
    [404, 'is gone'],
    [409, 'is another one'],
  ])('counts %d as done: the pod %s by now', async (status) => {
    const { driver } = await api([{ name: 'holdfast-0', uid: 'uid-1' }], () => [status, { kind: 'Status' }]);
    expect(await restart(driver)).toEqual({ outcome: 'done' });
  });

  it('deletes nothing that is on its way down, or is two, or is none', async () => {
    const ending = await api([{ name: 'a', uid: '1', deletionTimestamp: '2026-01-01T00:00:00Z' }]);
    expect(await restart(ending.driver)).toEqual({ outcome: 'done' });
    const two = await api([
      { name: 'a', uid: '1' },
      { name: 'b', uid: '2' },
    ]);
    expect(await restart(two.driver)).toMatchObject({ outcome: 'refused' });
    expect(await restart(two.driver, 'node-2')).toMatchObject({ outcome: 'unknown-node' });
    expect([...ending.asked, ...two.asked].every(({ method }) => method === 'GET')).toBe(true);
  });

  it('tells when it is not allowed to, trusts only its authority, and reads its token anew each time', async () => {
    const { driver } = await api([{ name: 'a', uid: '1' }], () => [
      403,
      { message: 'pods "a" is forbidden' },
    ]);
    const result = await restart(driver);
    expect(result).toMatchObject({ outcome: 'refused' });
    expect(JSON.stringify(result)).toContain('403: pods');
    await writeFile(join(home, 'token'), 'token-2');
    expect(await restart(driver)).toMatchObject({ outcome: 'refused' });
    await writeFile(join(home, 'token'), 'token-1');
    await writeFile(join(home, 'ca.crt'), '');
    expect(await restart(driver)).toMatchObject({ outcome: 'unreachable' });
    await rm(join(home, 'token'));
    expect(await restart(driver)).toMatchObject({ outcome: 'unreachable' });
  });
});

describe('the drivers of Holdfast itself', () => {
  it('ask a node that answers to restart itself', async () => {
    const asked: Asked[] = [];
    let reply: Reply = [202, { restarting: true }];
    const port = await listen(createServer(listener(asked, () => reply)), 0);
    const address = `http://127.0.0.1:${port}`;
    const driver = new HttpDriver(KEY);
    expect(await restart(driver, 'node-1', address)).toEqual({ outcome: 'done' });
    expect(asked).toMatchObject([{ method: 'POST', path: '/restart', body: '{}' }]);
    expect(asked[0]?.headers['holdfast-signature']).toMatch(/^v1\./);
    expect(JSON.stringify(asked[0]?.headers)).not.toContain(KEY);
    reply = [429, { code: 'cluster-busy', detail: 'this process was started 100 ms ago' }];
    expect(await driver.restart({ nodeId: 'node-1', address }, silent)).toEqual({
      outcome: 'refused',
      detail: 'node-1 answered 429: this process was started 100 ms ago',
    });
    expect(await driver.restart({ nodeId: 'node-1', address: undefined }, silent)).toMatchObject({
      outcome: 'unknown-node',
    });
  });

  it('ask the supervisor to end a process by force', async () => {
    const asked: Asked[] = [];
    const reply = ({ path }: Asked): Reply =>
      path.includes('node-1') ? [202, { outcome: 'ended' }] : [404, {}];
    const port = await listen(createServer(listener(asked, reply)), 0);
    const driver = new LocalDriver(`http://127.0.0.1:${port}`, KEY);
    expect(await restart(driver)).toEqual({ outcome: 'done' });
    expect(asked).toMatchObject([
      { method: 'POST', path: '/processes/node-1/restart', body: '{"how":"by-force"}' },
    ]);
    expect(await driver.restart({ nodeId: 'node-9', address: undefined }, silent)).toMatchObject({
      outcome: 'unknown-node',
    });
  });

  it('give up on a node that takes the request and never answers', async () => {
    const port = await listen(createServer(listener([], () => undefined)), 0);
    const result = await restart(new HttpDriver(KEY), 'node-1', `http://127.0.0.1:${port}`);
    expect(result).toMatchObject({ outcome: 'unreachable' });
  });

  it('end with the process that asked', async () => {
    const port = await listen(createServer(listener([], () => undefined)), 0);
    const abort = new AbortController();
    const driver = new LocalDriver(`http://127.0.0.1:${port}`, KEY);
    closers.push(() => driver.close());
    const result = driver.restart({ nodeId: 'node-1', address: undefined }, abort.signal);
    abort.abort(new Error('failover stops'));
    expect(await result).toEqual({ outcome: 'unreachable', detail: 'failover stops' });
  });
});
