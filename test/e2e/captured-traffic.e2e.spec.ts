import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newSecret } from '#libs/embedded-servers';
import { ApiClient, CaptureProxy, ROOT, until } from '#libs/testing';
import { TwoHostsCluster } from './two-hosts.js';

const KEY = newSecret();
const GATEWAY = 'gateway-1';

describe('finding 3: all traffic of a cluster', () => {
  const proxies = new Map<string, CaptureProxy>();
  let cluster: TwoHostsCluster;
  let client: ApiClient;

  beforeAll(async () => {
    cluster = await TwoHostsCluster.start({
      clusterKey: KEY,
      intercept: async (name, target, port) => {
        const proxy = await CaptureProxy.start(KEY, target, port);
        proxies.set(name, proxy);
        return proxy.port;
      },
    });
    client = new ApiClient(cluster.gateway, 8);
  });
  afterAll(async () => {
    await client?.close();
    await cluster?.dispose();
    for (const proxy of proxies.values()) await proxy.close();
  });

  const put = (key: string, namespace = 'app', headers: Record<string, string> = {}, body = 'value') =>
    client.request('PUT', `/v1/namespaces/${namespace}/configs/${key}`, {
      body,
      headers: { 'content-type': 'text/plain', ...headers },
    });
  const written = (key: string) =>
    until(`${key} is written`, async () => (await put(key)).status < 300, 30_000);
  /** Bytes that were searched, and hits, of one proxy in both directions. */
  const hits = () =>
    [...proxies].flatMap(([name, proxy]) => [
      ...Array.from({ length: proxy.hits('up') }, () => `to ${name}`),
      ...Array.from({ length: proxy.hits('down') }, () => `from ${name}`),
    ]);

  it('holds the cluster key nowhere, through publishes, watches, a handover, comparisons and an election', async () => {
    const watch = new AbortController();
    const events = await fetch(`${cluster.gateway}/v1/namespaces/app/watch`, { signal: watch.signal });
    expect(events.status).toBe(200);
    for (let i = 0; i < 20; i++) await written(`k${i}`);
    for (let i = 0; i < 20; i++) {
      expect((await client.request('GET', `/v1/namespaces/app/configs/k${i}`)).status).toBe(200);
    }
    expect((await client.post('/v1/cluster/handover', {})).status).toBeLessThan(300);
    await written('after-handover');
    expect((await client.post('/v1/consistency/check', {})).status).toBeLessThan(300);
    const { leaderId } = await cluster.whole(60_000);
    cluster.kill(leaderId ?? '');
    await written('after-election');
    watch.abort();

    for (const [name, proxy] of proxies) {
      const isAsked = proxy.bytes('up') > 0;
      expect(isAsked || !/^(node|nats|primary|redis|gateway)/.test(name), `${name} was asked`).toBe(true);
    }
    expect(hits()).toEqual([]);
  });

  it('holds it once when an operator shows it to the gateway, which sends it no further', async () => {
    const balancing = JSON.stringify({ strategy: 'round-robin' });
    const operator = { 'holdfast-cluster-key': KEY, 'content-type': 'application/json' };
    const { status } = await put('gateway/balancing', 'system', operator, balancing);
    expect(status).toBeLessThan(300);
    expect(hits()).toEqual([`to ${GATEWAY}`]);
  });

  it('of the rolling restart holds it nowhere', async () => {
    const home = mkdtempSync(join(tmpdir(), 'holdfast-rolling-'));
    const paths: string[] = [];
    const supervisor = createServer((req, res) => {
      paths.push(req.url ?? '');
      res.end('{}');
    });
    await new Promise<void>((resolve) => supervisor.listen(0, '127.0.0.1', resolve));
    const { port } = supervisor.address() as AddressInfo;
    const proxy = await CaptureProxy.start(KEY, { host: '127.0.0.1', port });
    try {
      const state = { format: 1, ports: { supervisor: proxy.port }, clusterKey: KEY, databasePasswords: {} };
      writeFileSync(join(home, 'state.json'), JSON.stringify(state), { mode: 0o600 });
      const child = spawn(process.execPath, [join(ROOT, 'dist/apps/local/src/rolling-restart.js')], {
        env: { PATH: process.env.PATH, HOLDFAST_HOME: home },
        stdio: 'ignore',
      });
      const code = await new Promise((resolve) => child.once('close', resolve));
      expect([code, paths, proxy.hits('up')]).toEqual([1, ['/processes'], 0]);
    } finally {
      supervisor.close();
      await proxy.close();
      rmSync(home, { recursive: true, force: true });
    }
  });
});
