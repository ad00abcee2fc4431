import { globSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient, Cluster, postgresClient, SseParser, until } from '#libs/testing';

const KEYS = 20;
const LOST = 5;

/** The database comes back without its latest changes, as after a failover to a standby that was behind. */
describe('a database that lost its latest changes', () => {
  let cluster: Cluster;
  let gateway: ApiClient;
  let head: number;

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
    gateway = new ApiClient(cluster.gateway);
    for (let i = 0; i < KEYS; i++) {
      const answer = await gateway.put('tail', `k${i}`, `v${i}`);
      head = (JSON.parse(answer.body.toString()) as { version: number }).version;
    }
  });
  afterAll(async () => {
    await gateway?.close();
    await cluster?.dispose();
  });

  it('is followed: all nodes show what it holds, watchers are told, numbers are not used twice', async () => {
    const events: string[] = [];
    const aborting = new AbortController();
    const watching = collect(`${cluster.gateway}/v1/namespaces/tail/watch`, events, aborting.signal);
    await until('the first bookmark', () => events.some((event) => event.startsWith('bookmark')), 5_000);

    await loseTail(cluster, head - LOST);
    const addresses = await cluster.addresses();
    await until(
      'every node shows what the database holds',
      async () => {
        const counts = await Promise.all(addresses.map(countKeys));
        return counts.every((count) => count === KEYS - LOST);
      },
      30_000,
      200,
    );
    await until('the watcher is told', () => events.some((event) => event.includes('diverged')), 10_000);
    aborting.abort();
    await watching;

    const answer = await until(
      'a write',
      async () => {
        const attempt = await gateway.put('tail', 'after', 'x');
        return attempt.status === 201 && attempt;
      },
      20_000,
    );
    const { version } = JSON.parse(answer.body.toString()) as { version: number };
    expect(version).toBeGreaterThan(head);
    await cluster.whole();
    for (const address of addresses) expect(await countKeys(address)).toBe(KEYS - LOST + 1);
  });

  it('lost nothing for good: what nodes discarded is on their disks', () => {
    const saved = globSync('nodes/*/**/*discard*', { cwd: cluster.home });
    expect(saved.length).toBeGreaterThan(0);
  });
});

/** Rewinds log, state and head to a version, as if the rest had never arrived. */
async function loseTail(cluster: Cluster, version: number): Promise<void> {
  const client = await postgresClient(cluster);
  try {
    await client.query('begin');
    await client.query('select 1 from config.head for update');
    await client.query('delete from config.change_ops where version > $1', [version]);
    await client.query('delete from config.changes where version > $1', [version]);
    // Every key of this test was written once.
    await client.query('delete from config.entries where version > $1', [version]);
    await client.query(
      'update config.head set version = $1, chain = (select chain from config.changes where version = $1)',
      [version],
    );
    await client.query('commit');
  } finally {
    await client.end();
  }
}

async function countKeys(address: string): Promise<number> {
  const node = new ApiClient(address, 1);
  try {
    const { body } = await node.list('tail', '');
    return (JSON.parse(body.toString()) as { items: unknown[] }).items.length;
  } finally {
    await node.close();
  }
}

async function collect(url: string, events: string[], signal: AbortSignal): Promise<void> {
  const parser = new SseParser();
  try {
    const answer = await fetch(url, { signal });
    for await (const bytes of answer.body ?? []) {
      for (const { event, data } of parser.push(bytes)) events.push(`${event} ${data}`);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
