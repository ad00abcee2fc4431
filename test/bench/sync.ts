import { type PostgresSettings, PrimaryPool } from '#libs/postgres';
import type { Cluster } from '#libs/testing';
import { loadSyncSettings } from '../../apps/sync/src/sync.config.js';
import { openMigratedLab, SYNCED } from '../integration/storage/storage-lab.js';
import { fillLog } from '../integration/sync/sync-log.js';
import { requestBytes } from './http-connection.js';
import { closedLoop, type LoadResult, openLoop, unwantedOf } from './load.js';
import type { BenchOptions } from './options.js';
import { printTable, type Row, say } from './report.js';
import { quantile, spread } from './statistics.js';
import { BenchNode, BenchSync } from './syncing.js';
import { portOf, withCluster } from './system.js';

const THROTTLE = 5_000;
const WRITES_PER_SECOND = 200;

/**
 * How fast a node that is far behind catches up (`--far`: only that), and what it does to the leader's writes when one
 * is pushed to (`--beside`: only that).
 */
export async function benchSync({ quick }: BenchOptions): Promise<void> {
  const isAsked = (part: string, other: string) =>
    process.argv.includes(`--${part}`) || !process.argv.includes(`--${other}`);
  if (isAsked('far', 'beside')) {
    const changes = quick ? 50_000 : 1_000_000;
    const rows = await catchUp(changes, quick ? 5_000 : 100_000, quick ? 1 : 2);
    printTable(`sync: ${changes} changes of 100 bytes behind`, rows);
  }
  if (!isAsked('beside', 'far')) return;
  const title = `sync: pushing ${THROTTLE} changes/s beside ${WRITES_PER_SECOND} writes/s`;
  await withCluster(async (cluster) => printTable(title, await beside(cluster, quick)));
}

async function catchUp(changes: number, keys: number, rounds: number): Promise<Row[]> {
  const lab = await openMigratedLab(SYNCED);
  try {
    say(`filling the log with ${changes} changes of ${keys} keys`);
    await fillLog(lab.admin, changes, keys);
    const pool = lab.pool({ role: 'holdfast_sync' });
    const database = {
      hosts: [{ host: lab.server.host, port: lab.server.port }],
      database: lab.server.database,
      user: lab.server.superuser,
      password: lab.server.password,
      applicationName: 'bench',
    };
    const [pulled, pushed, peer, read]: [number[], number[], number[], number[]] = [[], [], [], []];
    const [pullMicros, pushMicros]: [number[], number[]] = [[], []];
    const rate = (ms: number) => (changes * 1_000) / ms;
    for (let round = 0; round < rounds; round++) {
      const full = new BenchNode(database);
      await full.address();
      const idle = full.cpuMicros;
      pulled.push(rate(await full.order({ do: 'pull', to: changes })));
      pullMicros.push((full.cpuMicros - idle) / changes);
      const from = await full.address();
      peer.push(await fresh(database, (node) => node.order({ do: 'load', from })));
      await full.stop();
      read.push(await fresh(database, (node) => node.order({ do: 'read' })));
      await fresh(database, async (node) => {
        const before = node.cpuMicros;
        pushed.push(rate(await pushAll(pool, node, changes)));
        pushMicros.push((node.cpuMicros - before) / changes);
      });
      const last = [pulled, pushed, peer, read].map((all) => all.at(-1)?.toFixed(0));
      say(`  round ${round + 1}: ${last.join(' ')}`);
    }
    return [
      ['the log, pulled by the node: changes/s', spread(pulled, 0), '>= 20000'],
      ['  CPU of the node, us per change', spread(pullMicros), ''],
      ['the log, pushed by the sync service: changes/s', spread(pushed, 0), '>= 20000'],
      ['  CPU of the node, us per change', spread(pushMicros), ''],
      [`the state of ${keys} keys from another node: ms`, spread(peer, 0), '<= 3000'],
      [`the state of ${keys} keys from the database: ms`, spread(read, 0), '<= 3000'],
    ];
  } finally {
    await lab.close();
  }
}

async function fresh<T>(
  database: Omit<PostgresSettings, 'max'>,
  measure: (node: BenchNode) => Promise<T>,
): Promise<T> {
  const node = new BenchNode(database);
  try {
    await node.address();
    return await measure(node);
  } finally {
    await node.stop();
  }
}

/** From the first heartbeat on: that the service waits a second for the broadcast is not counted. */
async function pushAll(pool: PrimaryPool, node: BenchNode, changes: number): Promise<number> {
  const sync = new BenchSync(pool, node, 1_000_000, ({ planner }) => {
    planner.way.alwaysLog = Number.POSITIVE_INFINITY;
  });
  try {
    await node.reaches(1);
    return await node.reaches(changes);
  } finally {
    await sync.stop();
  }
}

async function beside(cluster: Cluster, quick: boolean): Promise<Row[]> {
  const [rounds, seconds] = quick ? [1, 3] : [4, 8];
  const leader = portOf(await cluster.address(await cluster.leader()));
  const request = (i: number) =>
    requestBytes(
      'PUT',
      `/v1/namespaces/bench/configs/k${i % 10_000}`,
      { 'Content-Type': 'text/plain' },
      VALUE,
    );
  say('publishing what is to be pushed');
  const history = await closedLoop({ port: leader, connections: 256, seconds: quick ? 5 : 15, request });
  const written = history.latencies.length;
  const env = cluster.environment('sync');
  const settings = loadSyncSettings({ argv: [], env, readFile: () => '' });
  const database = {
    hosts: settings.postgresHosts,
    database: settings.postgresDatabase,
    user: settings.postgresUser ?? 'holdfast_sync',
    password: settings.postgresPassword,
    applicationName: 'bench',
  };
  const pool = new PrimaryPool({ ...database, max: 4 });
  const writes = () =>
    openLoop({ port: leader, connections: 64, seconds, ratePerSecond: WRITES_PER_SECOND, request });
  const alone: LoadResult[] = [];
  const pushed: LoadResult[] = [];
  const rates: number[] = [];
  await writes(); // warms up
  for (let round = 0; round < rounds; round++) {
    alone.push(await writes());
    await fresh(database, async (node) => {
      const sync = new BenchSync(pool, node, THROTTLE, ({ planner }) => {
        planner.way.alwaysLog = Number.POSITIVE_INFINITY;
      });
      await node.reaches(1);
      const [before, begin] = [node.stands?.version ?? 0, performance.now()];
      pushed.push(await writes());
      const brought = (node.stands?.version ?? 0) - before;
      rates.push((brought * 1_000) / (performance.now() - begin));
      await sync.stop();
      return brought;
    });
  }
  await pool.end();
  const p99 = (results: readonly LoadResult[]) => results.map(({ latencies }) => quantile(latencies, 0.99));
  const ratios = p99(pushed).map((with_, i) => with_ / (p99(alone)[i] ?? Number.NaN));
  return [
    ['changes in the log', String(written), ''],
    ['pushed changes/s', spread(rates, 0), `about ${THROTTLE}`],
    ['p99 of a publish without, ms', spread(p99(alone)), ''],
    ['p99 of a publish beside it, ms', spread(p99(pushed)), '<= 50'],
    ['how many times as long', spread(ratios, 2), '<= 2'],
    ['answers other than 2xx', unwantedOf([...alone, ...pushed]), '0'],
  ];
}

const VALUE = Buffer.alloc(100, 'x');
