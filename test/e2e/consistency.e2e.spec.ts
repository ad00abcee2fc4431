import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConsistencyRepaired, ConsistencyReport } from '#libs/contracts';
import { ApiClient, Cluster, pause, postgresClient, until } from '#libs/testing';
import { CorruptibleNode } from './corruptible.js';

const NAMESPACE = 'still';
const NODE = 'node-9';
const KEYS = 60;
const WRITES_PER_S = 200;
const WRONG_APPLY_MS = 10_000;
const AT_REST_MS = 60_000;

/** Everything is damaged in turn while 200 writes a second go on: found, classified, set right, written down. */
describe('damage', () => {
  let cluster: Cluster;
  let client: ApiClient;
  let node: CorruptibleNode;
  let writing = true;
  let written = 0;
  let writers: Promise<void>[] = [];
  const planted = new Set<string>();

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
    client = new ApiClient(cluster.gateway, 40);
    for (let i = 0; i < KEYS; i++)
      expect((await client.put(NAMESPACE, `k${i}`, `value ${i}`)).status).toBe(201);
    node = new CorruptibleNode(cluster, NODE, NAMESPACE);
    await node.start();
    const lanes = 20;
    writers = Array.from({ length: lanes }, async (_, lane) => {
      for (let i = 0; writing; i++) {
        const begunMs = performance.now();
        const { status } = await client.put('busy', `lane${lane}/k${i % 50}`, `${i}`);
        if (status < 300) written++;
        await pause(Math.max(0, (1_000 * lanes) / WRITES_PER_S - (performance.now() - begunMs)));
      }
    });
    await until('all match', async () => allMatch(await report()), 30_000, 200);
  });
  afterAll(async () => {
    writing = false;
    await Promise.allSettled(writers);
    await node?.stop();
    await client?.close();
    await cluster?.dispose();
  });

  async function report(): Promise<ConsistencyReport> {
    const answer = await client.request('GET', '/v1/consistency');
    return ConsistencyReport.parse(JSON.parse(answer.body.toString()));
  }
  const allMatch = ({ nodes }: ConsistencyReport) =>
    nodes.length === 5 && nodes.every(({ result }) => result === 'match');
  const named = (repairs: readonly ConsistencyRepaired[], place: string, keys: readonly string[]) =>
    repairs.filter(
      (repair) =>
        repair.place === place && repair.difference !== null && keys.includes(repair.difference.key),
    );

  /** How long it took until all of it was written down as set right, classified so. */
  async function repaired(place: string, classes: Record<string, string>, withinMs: number): Promise<number> {
    const keys = Object.keys(classes);
    for (const key of keys) planted.add(`${place} ${key}`);
    const begunMs = performance.now();
    const done = async () => named((await report()).repairs, place, keys).length === keys.length;
    await until(`${place}: ${keys} are set right`, done, withinMs + 10_000, 100);
    const tookMs = performance.now() - begunMs;
    const repairs = named((await report()).repairs, place, keys);
    expect(Object.fromEntries(repairs.map(({ difference }) => [difference?.key, difference?.class]))).toEqual(
      classes,
    );
    expect(repairs.map(({ outcome }) => outcome)).toEqual(keys.map(() => 'repaired'));
    expect(tookMs).toBeLessThan(withinMs);
    return tookMs;
  }

  it('by a change that was applied wrongly: within 10 s', async () => {
    await node.damage({ command: 'misapply', key: 'k1', value: 'wrong' });
    await node.damage({ command: 'misapply', key: 'k2', value: null });
    await node.damage({ command: 'misapply', key: 'x1', value: 'extra' });
    const tookMs = await repaired(NODE, { k1: 'mismatch', k2: 'missing', x1: 'extra' }, WRONG_APPLY_MS);
    console.log(`wrongly applied: set right after ${(tookMs / 1_000).toFixed(1)} s`);
  });

  it('to bytes in memory: within 60 s', async () => {
    await node.damage({ command: 'flip', key: 'k11' });
    await node.damage({ command: 'lose', key: 'k12' });
    await node.damage({ command: 'invent', key: 'x12' });
    const tookMs = await repaired(NODE, { k11: 'mismatch', k12: 'missing', x12: 'extra' }, AT_REST_MS);
    console.log(`in memory: set right after ${(tookMs / 1_000).toFixed(1)} s`);
  });

  it('to the state in the database: within 60 s, by the leader', async () => {
    const sql = await postgresClient(cluster);
    try {
      const wrong = (text: string) => sql.query(text, [NAMESPACE]);
      await wrong(
        `update config.entries set value = 'wrong', checksum = sha256('wrong') where namespace = $1 and key = 'k21'`,
      );
      await wrong(`update config.entries set value = 'flipped' where namespace = $1 and key = 'k23'`);
      await wrong(`delete from config.entries where namespace = $1 and key = 'k22'`);
      await wrong(
        `insert into config.entries select namespace, 'x22', value, content_type, checksum, version, created_at
          from config.entries where namespace = $1 and key = 'k24'`,
      );
      const classes = { k21: 'mismatch', k22: 'missing', k23: 'mismatch', x22: 'extra' };
      const tookMs = await repaired('config.entries', classes, AT_REST_MS);
      console.log(`in the database: set right after ${(tookMs / 1_000).toFixed(1)} s`);
      const { rows } = await wrong(
        `select key, convert_from(value, 'UTF8') as value from config.entries where namespace = $1 order by key`,
      );
      expect(rows).toHaveLength(KEYS);
      for (const { key, value } of rows) expect(value).toBe(`value ${key.slice(1)}`);
    } finally {
      await sql.end();
    }
  });

  it('to a snapshot on disk: the node does not count as healthy before it has the right state', async () => {
    await node.stop();
    await node.rewriteSnapshot('k31');
    const begunMs = performance.now();
    await node.start();
    await until('all match', async () => allMatch(await report()), AT_REST_MS, 200);
    const tookMs = performance.now() - begunMs;
    expect(tookMs).toBeLessThan(AT_REST_MS);
    console.log(`on disk: set right after ${(tookMs / 1_000).toFixed(1)} s`);
    const { address } = (await cluster.view()).nodes.find(({ id }) => id === NODE) ?? {};
    const answer = await fetch(`${address}/v1/namespaces/${NAMESPACE}/configs/k31`);
    expect(await answer.text()).toBe('value 31');
  });

  it('was found nowhere where it was not, and writes went on', async () => {
    await until('all match', async () => allMatch(await report()), 30_000, 200);
    const { repairs, open } = await report();
    expect(open).toEqual([]);
    const found = repairs.map(({ place, difference }) => `${place} ${difference?.key}`);
    expect(found.filter((each) => !planted.has(each) && each !== `${NODE} k31`)).toEqual([]);
    expect(written).toBeGreaterThan(1_000);
  });
});
