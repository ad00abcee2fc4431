import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ConsistencyCheckReply, ConsistencyReport } from '#libs/contracts';
import { ApiClient, pause, SseParser, until } from '#libs/testing';
import { TwoHostsCluster } from './two-hosts.js';

const NAMESPACE = 'tail';
const LANES = 8;
const BEFORE = 50;
const LOST = 60;
const AFTER = 20;

interface Acknowledged {
  version: number;
  key: string;
  value: string;
}

interface LoggedWrite {
  version: number;
  operations: { key: string; value?: string }[];
}

/**
 * The primary dies, and what takes its place is an asynchronous standby that lacks the latest commits: they were
 * acknowledged, and the database does not have them any more.
 * @param leaderDies with the primary, as if both had been on one machine: what it alone had is gone with it
 */
export function itSwitchesToAStandbyThatWasBehind({ leaderDies }: { leaderDies: boolean }): void {
  let cluster: TwoHostsCluster;
  let client: ApiClient;
  let bus: NatsConnection;
  let survivors: string[] = [];
  const alerts: { name: string; labels: { node?: string } }[] = [];
  const events: string[] = [];
  const acknowledged: Acknowledged[] = [];
  const aborting = new AbortController();
  let writing = true;
  let running: Promise<unknown>[] = [];

  beforeAll(async () => {
    cluster = await TwoHostsCluster.start();
    client = new ApiClient(cluster.gateway, LANES + 4);
    const { host, port, user, password: pass } = cluster.nats;
    bus = await connect({ servers: `${host}:${port}`, user, pass });
    bus.subscribe('alert.raised.critical', {
      callback: (_error, message) => {
        alerts.push(message.json());
      },
    });
    await bus.flush();
  });
  afterAll(async () => {
    writing = false;
    aborting.abort();
    await Promise.allSettled(running);
    await bus?.close();
    await client?.close();
    await cluster?.dispose();
  });

  async function write(lane: number): Promise<void> {
    for (let i = 0; writing; i++) {
      const key = `lane${lane}/k${i}`;
      const value = `${lane}.${i}`;
      const answer = await client.put(NAMESPACE, key, value).catch(() => undefined);
      if (answer?.status === 201) {
        const { version } = JSON.parse(answer.body.toString()) as { version: number };
        acknowledged.push({ version, key, value });
      }
      await pause(20);
    }
  }
  const acknowledgedAfter = (from: number, count: number) =>
    until(`${count} more writes`, () => acknowledged.length >= from + count, 30_000);

  it('no number is used twice, and what was lost is saved', async () => {
    const { primary, standby, replication } = cluster.servers;
    running = [
      watch(`${cluster.gateway}/v1/namespaces/${NAMESPACE}/watch`, events, aborting.signal),
      ...Array.from({ length: LANES }, (_, lane) => write(lane)),
    ];
    await acknowledgedAfter(0, BEFORE);
    await until('a watcher stands', () => events.some((event) => event.startsWith('bookmark')), 5_000);

    replication.refuse();
    replication.reset();
    const cutAt = acknowledged.length;
    await acknowledgedAfter(cutAt, LOST);
    const { leaderId, nodes } = await cluster.view();
    survivors = nodes.map(({ id }) => id).filter((id) => !leaderDies || id !== leaderId);
    if (leaderDies) cluster.kill(leaderId ?? '');
    primary.kill('SIGKILL');
    await primary.exited;
    const killedAt = acknowledged.length;
    await asSuperuser(standby, 'postgres', (sql) => sql.query('select pg_promote(true)'));
    await acknowledgedAfter(killedAt, AFTER);
    writing = false;
    await Promise.all(running.slice(1));

    const log = await asSuperuser(standby, 'holdfast', readLog);
    const lost = acknowledged.filter((ack) => !isIn(log.writes, ack));
    expect(lost.length).toBeGreaterThanOrEqual(LOST - LANES);
    const versions = acknowledged.map(({ version }) => version);
    expect(new Set(versions).size).toBe(versions.length);
    expect(log.gaps).toHaveLength(1);
    for (const { version } of lost) {
      expect(version).toBeGreaterThanOrEqual(log.gaps[0]?.from ?? Number.POSITIVE_INFINITY);
      expect(version).toBeLessThanOrEqual(log.gaps[0]?.to ?? 0);
    }

    const target = Math.max(...versions);
    for (const { id, address } of nodes.filter(({ id }) => survivors.includes(id)))
      await until(`${id} has the new history`, () => hasReached(address ?? '', target), 20_000);
    expectSaved(cluster, survivors, leaderDies ? [] : lost);
  });

  it('all replicas hold the same, and it is proved', async () => {
    const match = survivors.map((nodeId) => ({ nodeId, result: 'match', reason: null }));
    await until(
      'all match',
      async () => {
        const answer = await client.post('/v1/consistency/check', {});
        const check = ConsistencyCheckReply.parse(JSON.parse(answer.body.toString()));
        expect(check.found).toEqual([]);
        return expect(check.nodes).toEqual(expect.arrayContaining(match)) ?? true;
      },
      20_000,
      200,
    );
  });

  it('watchers and operators are told', async () => {
    await until('a watcher is told', () => events.some((event) => event.startsWith('reset')), 10_000);
    // Failover tells it too, of no node.
    const regressed = alerts.filter(({ name }) => name === 'storage.regressed');
    const told = new Set(regressed.flatMap(({ labels }) => labels.node ?? []));
    expect([...told].toSorted()).toEqual(survivors);
    const { discarded } = ConsistencyReport.parse(await client.json('/v1/consistency'));
    expect([...new Set(discarded.map(({ nodeId }) => nodeId))].toSorted()).toEqual(survivors);
    for (const { from, to, changes } of discarded) expect(changes).toBe(to - from + 1);
  });
}

type Server = TwoHostsCluster['servers']['standby'];

async function asSuperuser<T>(
  { host, port, superuser: user, password }: Server,
  database: string,
  work: (sql: pg.Client) => Promise<T>,
): Promise<T> {
  const sql = new pg.Client({ host, port, user, password, database });
  await sql.connect();
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** From the database itself: nodes may still remember what it has lost. */
async function readLog(sql: pg.Client) {
  const writes = await sql.query<{ version: string; key: string; value: string }>(
    `select version, key, convert_from(value, 'UTF8') as value from config.change_ops where namespace = $1`,
    [NAMESPACE],
  );
  const gaps = await sql.query<{ from: number; to: number }>(
    `select lost_from::int as from, lost_to::int as to from config.changes where lost_from is not null`,
  );
  return {
    writes: writes.rows.map(({ version, key, value }): LoggedWrite => {
      return { version: Number(version), operations: [{ key, value }] };
    }),
    gaps: gaps.rows,
  };
}

function isIn(log: readonly LoggedWrite[], { version, key, value }: Acknowledged): boolean {
  const change = log.find((each) => each.version === version);
  return change?.operations.some((operation) => operation.key === key && operation.value === value) ?? false;
}

async function hasReached(address: string, minVersion: number): Promise<boolean> {
  const node = new ApiClient(address, 1);
  try {
    const answer = await node.get(NAMESPACE, 'lane0/k0', { minVersion });
    return answer.status === 200 && answer.headers['holdfast-stale'] !== 'true';
  } finally {
    await node.close();
  }
}

/** Every node kept what it discarded, and all of it. */
function expectSaved(
  { home }: TwoHostsCluster,
  nodeIds: readonly string[],
  lost: readonly Acknowledged[],
): void {
  for (const nodeId of nodeIds) {
    const files = globSync(`nodes/${nodeId}/discarded/*.ndjson`, { cwd: home });
    const lines = files.flatMap((file) => readFileSync(join(home, file), 'utf8').trimEnd().split('\n'));
    const kept = lines.map((line) => JSON.parse(line) as LoggedWrite);
    expect(kept.length).toBeGreaterThan(0);
    expect(lost.filter((ack) => !isIn(kept, ack))).toEqual([]);
  }
}

async function watch(url: string, events: string[], signal: AbortSignal): Promise<void> {
  const parser = new SseParser();
  const answer = await fetch(url, { signal });
  try {
    for await (const bytes of answer.body ?? [])
      for (const { event, data } of parser.push(bytes)) events.push(`${event} ${data}`);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
