import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient, Cluster, pause, postgresClient, until } from '#libs/testing';

const KEYS = 50;

/** Somebody empties the database, or puts another in its place: nodes keep what they hold, and say that it is stale. */
describe('an emptied database', () => {
  let cluster: Cluster;
  let nodes: Map<string, ApiClient>;

  beforeAll(async () => {
    cluster = await Cluster.start();
    const { nodes: seen } = await cluster.whole();
    nodes = new Map(seen.map(({ id, address }) => [id, new ApiClient(address ?? '')]));
    const gateway = new ApiClient(cluster.gateway);
    for (let i = 0; i < KEYS; i++) expect((await gateway.put('kept', `k${i}`, `v${i}`)).status).toBe(201);
    await gateway.close();
    await cluster.whole();
  });
  afterAll(async () => {
    await Promise.all([...(nodes?.values() ?? [])].map((node) => node.close()));
    await cluster?.dispose();
  });

  it('wipes nothing', async () => {
    await emptyDatabase(cluster);
    for (const [id, node] of nodes) {
      await until(`${id} says that it is stale`, () => isStale(node), 15_000);
    }
    await pause(5_000);
    for (const [id, node] of nodes) expect([id, await countKept(node)]).toEqual([id, KEYS]);
  });

  it('takes no writes over it', async () => {
    const gateway = new ApiClient(cluster.gateway);
    const answer = await gateway.put('kept', 'new', 'x');
    await gateway.close();
    expect(answer.status).toBeGreaterThanOrEqual(500);
    for (const [id, node] of nodes) expect([id, await countKept(node)]).toEqual([id, KEYS]);
  });

  it('is not forgotten by a node that restarts cleanly', async () => {
    const pid = cluster.signal('node-4', 'SIGTERM');
    await until('node-4 is back', () => cluster.pid('node-4') !== pid, 30_000);
    const address = await until('its address', () => cluster.address('node-4'), 10_000);
    const node = new ApiClient(address);
    await until('it serves again', async () => (await countKept(node)) === KEYS, 30_000, 200);
    await node.close();
  });
});

async function emptyDatabase(cluster: Cluster): Promise<void> {
  const client = await postgresClient(cluster);
  try {
    await client.query(`begin;
      truncate config.entries, config.change_ops, config.changes;
      update config.head set cluster_id = gen_random_uuid(), version = 0, chain = decode(repeat('00', 32), 'hex'),
        term = 0, leader_id = null, incarnation = 0, attempt = 0;
      commit`);
  } finally {
    await client.end();
  }
}

async function isStale(node: ApiClient): Promise<boolean> {
  return (await node.get('kept', 'k0')).headers['holdfast-stale'] === 'true';
}

async function countKept(node: ApiClient): Promise<number> {
  const answer = await node.list('kept', '');
  if (answer.status !== 200) throw new Error(`list: ${answer.status} ${problemText(answer.body)}`);
  return (JSON.parse(answer.body.toString()) as { items: unknown[] }).items.length;
}

function problemText(body: Buffer): string {
  return body.toString().slice(0, 200);
}
