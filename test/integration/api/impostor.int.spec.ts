import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HEADERS, NodePing } from '#libs/contracts';
import { until } from '#libs/testing';
import { PeerClient } from '../../../apps/config-node/src/peers/peer-client.js';
import { DigestClient as ConsistencyCalls } from '../../../apps/consistency/src/digest-client.js';
import { HttpDriver } from '../../../apps/failover/src/drivers/http-driver.js';
import { HttpCalls } from '../../../apps/failover/src/nodes/http-calls.js';
import { LivenessConnection } from '../../../apps/failover/src/nodes/liveness-connection.js';
import { SyncNodeClient as SyncCalls } from '../../../apps/sync/src/sync-node-client.js';
import { ask, startGateway } from '../gateway/running-gateway.js';
import { type ApiLab, type ApiNode, CLUSTER_KEY, openApiLab } from './api-lab.js';
import { type Captured, Impostor, replay } from './impostor.js';
import { configPath, OpenWatch } from './requests.js';

const SHORT_MS = 1_000;

let lab: ApiLab;
let leader: ApiNode;
let impostor: Impostor;

beforeAll(async () => {
  lab = await openApiLab();
  leader = await lab.node('node-1');
  await lab.elect(leader);
  impostor = await new Impostor(CLUSTER_KEY).start();
});
afterAll(async () => {
  await impostor.stop();
  await lab.close();
});

/** Everything that processes ask of an address at which they believe a node. */
async function askAsProcessesDo(address: string): Promise<void> {
  const failover = new HttpCalls(CLUSTER_KEY);
  const driver = new HttpDriver(CLUSTER_KEY);
  const sync = new SyncCalls(CLUSTER_KEY);
  const consistency = new ConsistencyCalls(CLUSTER_KEY);
  const peer = new PeerClient(CLUSTER_KEY);
  const events: string[] = [];
  const liveness = new LivenessConnection(address, (event) => events.push(event));
  const pin = { version: 1, chain: '0'.repeat(64) } as Parameters<ConsistencyCalls['root']>[1];
  const repair = { version: 1 } as unknown as Parameters<ConsistencyCalls['repair']>[1];
  const asked: Promise<unknown>[] = [
    failover.get(`${address}/ping`, NodePing, SHORT_MS),
    failover.post(
      `${address}/internal/poll`,
      { askedBy: 'failover-1', term: 9, suspect: null },
      NodePing,
      SHORT_MS,
    ),
    failover.post(`${address}/internal/handover`, { term: 1, pauseMs: 500 }, NodePing, SHORT_MS),
    driver.restart({ nodeId: 'node-1', address }, AbortSignal.timeout(SHORT_MS)),
    sync.ping(address, SHORT_MS),
    sync.push(address, [], SHORT_MS),
    sync.catchUp(address, { by: 'head' } as Parameters<SyncCalls['catchUp']>[1], SHORT_MS),
    consistency.root(address, pin, 0, SHORT_MS),
    consistency.buckets(address, pin, SHORT_MS),
    consistency.repair(address, repair, SHORT_MS),
    consistency.resync(address, 'a test', SHORT_MS),
    peer.ping(address),
    peer.log(address, 0, 10),
    peer.digest(address, 1, 0),
    peer.snapshot(address),
  ];
  // An impostor's answers are of no shape that is asked for: what counts is what it was sent.
  await Promise.allSettled(asked);
  await until('the liveness connection is open', () => events.includes('connection-opened'), 10_000);
  await liveness.stop();
  await Promise.all([failover.close(), driver.close(), sync.close(), consistency.close()]);
}

async function askAsGatewaysDo(address: string): Promise<void> {
  const gateway = await startGateway([{ id: 'impostor', address }], { HOLDFAST_CLUSTER_KEY: CLUSTER_KEY });
  try {
    const sentWrite = () => impostor.captured.some(({ method }) => method === 'PUT');
    const operator = { [HEADERS.clusterKey]: CLUSTER_KEY, 'content-type': 'text/plain' };
    await until(
      'the gateway sends it a write',
      async () => {
        await ask(gateway.base, 'PUT', configPath('stolen'), { body: 'from a client', headers: operator });
        return sentWrite();
      },
      10_000,
    );
    await ask(gateway.base, 'GET', configPath('any'));
    const watch = await OpenWatch.open(gateway.base, '/v1/namespaces/app/watch').catch(() => undefined);
    await until('the gateway follows it', () => wasAsked('/internal/follow'), 10_000);
    await watch?.close();
  } finally {
    await gateway.stop();
  }
}

const wasAsked = (path: string) => impostor.captured.some((it) => it.path.startsWith(path));

/** The signature that a request carries: v1 of a request, r1 of a read, or none. */
function proofOf({ rawHeaders }: Captured): string | undefined {
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === HEADERS.signature);
  return at < 0 ? undefined : rawHeaders[at + 1]?.slice(0, 2);
}

describe('finding 3: an impostor at the address of a node', () => {
  it('is never sent the cluster key, and what it is sent is worth nothing at a real node', async () => {
    await askAsProcessesDo(impostor.address);
    await askAsGatewaysDo(impostor.address);
    for (const path of [
      '/ping',
      '/restart',
      '/sync',
      '/internal/poll',
      '/internal/handover',
      '/internal/repair',
    ]) {
      expect(wasAsked(path), path).toBe(true);
    }
    for (const path of ['/internal/log', '/internal/digest', '/internal/snapshot', '/internal/tether']) {
      expect(wasAsked(path), path).toBe(true);
    }
    expect(impostor.search.hits).toBe(0);

    const { host, publisher } = leader.engine;
    const state = () => [host.replica.version, host.replica.chain, host.term, publisher.isLeading];
    const before = state();
    const signed = impostor.captured.filter((it) => proofOf(it) === 'v1');
    expect(new Set(signed.map(({ path }) => path.split('?')[0])).size).toBeGreaterThan(9);
    for (const request of signed) {
      for (const name of ['as it came', 'its own'] as const) {
        expect(await replay(request, leader.address, name), `${request.method} ${request.path} ${name}`).toBe(
          403,
        );
      }
    }
    for (const request of impostor.captured.filter((it) => proofOf(it) === 'r1')) {
      expect(request.method).toBe('GET');
      expect(await replay(request, leader.address, 'its own')).toBe(403);
    }
    // Without a proof they ask for nothing but signs of life.
    const bare = impostor.captured.filter((it) => proofOf(it) === undefined).map(({ path }) => path);
    expect([...new Set(bare)].sort()).toEqual(['/internal/tether', '/ping']);
    expect(state()).toEqual(before);
  });

  it('would be found out if it were sent the key: the search finds it', async () => {
    const { hits } = impostor.search;
    await ask(impostor.address, 'GET', '/control', { headers: { [HEADERS.clusterKey]: CLUSTER_KEY } });
    expect(impostor.search.hits).toBe(hits + 1);
  });
});

describe('finding 11: a gateway of another cluster', () => {
  it('gets no write committed and no value read, and blames no client', async () => {
    const { client, engine } = leader;
    await client.request('PUT', configPath('ours'), { body: 'v', headers: { 'content-type': 'text/plain' } });
    const version = engine.host.replica.version;
    const foreign = await startGateway([leader], { HOLDFAST_CLUSTER_KEY: 'the-key-of-another-cluster' });
    try {
      const read = await ask(foreign.base, 'GET', configPath('ours'));
      expect([read.status, JSON.parse(read.text).code]).toEqual([503, 'no-available-node']);
      const headers = { 'content-type': 'text/plain' };
      const write = await ask(foreign.base, 'PUT', configPath('theirs'), { body: 'v', headers });
      expect([write.status, JSON.parse(write.text).code]).toEqual([503, 'no-leader']);
      expect(engine.host.replica.version).toBe(version);
    } finally {
      await foreign.stop();
    }
  });
});
