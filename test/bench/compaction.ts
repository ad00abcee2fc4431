import { HEADERS } from '#libs/contracts';
import { ApiClient, type Cluster, pause, postgresClient } from '#libs/testing';
import { requestBytes } from './http-connection.js';
import { closedLoop, type LoadResult, openLoop, unwantedOf } from './load.js';
import type { BenchOptions } from './options.js';
import { printTable, type Row, say } from './report.js';
import { quantile, spread } from './statistics.js';
import { portOf, withCluster } from './system.js';

const VALUE = Buffer.alloc(1_024, 'x');
const KEYS = 200;
const WRITES_PER_SECOND = 200;
const KEEP_VERSIONS = '1000';
const KEEP_ALL = { namespaces: {} };
const KEEP_TEN = { namespaces: { old: { maxVersionsPerKey: 10 } } };
/** The compactor looks at its rules once a second. */
const RULES_SEEN_MS = 2_000;

/** What the removal of old history costs the publishes that go on beside it. */
export function benchCompaction({ quick }: BenchOptions): Promise<void> {
  return withCluster(async (cluster) => printTable('compaction', await besidePublishes(cluster, quick)), {
    HOLDFAST_COMPACTION_KEEP_VERSIONS: KEEP_VERSIONS,
  });
}

async function besidePublishes(cluster: Cluster, quick: boolean): Promise<Row[]> {
  const [rounds, seconds] = quick ? [1, 3] : [4, 8];
  const leader = portOf(await cluster.address(await cluster.leader()));
  const put = (namespace: string, keys: number) => (i: number) =>
    requestBytes(
      'PUT',
      `/v1/namespaces/${namespace}/configs/k${i % keys}`,
      { 'Content-Type': 'text/plain' },
      VALUE,
    );
  say('publishing what is to be removed');
  const fillSeconds = quick ? 5 : 40;
  const history = await closedLoop({
    port: leader,
    connections: 256,
    seconds: fillSeconds,
    request: put('old', KEYS),
  });
  const database = await postgresClient(cluster);
  // What is younger than a day is never removed. The nodes have these changes in memory and do not read them again.
  await database.query("update config.changes set created_at = created_at - interval '3 days'");
  const left = async () => {
    const { rows } = await database.query(
      "select count(*)::int as n from config.change_ops where namespace = 'old'",
    );
    return Number(rows[0].n);
  };
  const api = new ApiClient(cluster.gateway);
  const rule = async (rules: object) => {
    const { status } = await api.request('PUT', '/v1/namespaces/system/configs/history/retention', {
      body: JSON.stringify(rules),
      headers: {
        'content-type': 'application/json',
        [HEADERS.clusterKey]: cluster.environment('gateway-1').HOLDFAST_CLUSTER_KEY ?? '',
        [HEADERS.operator]: '1',
      },
    });
    if (status >= 300) throw new Error(`the rules were answered with ${status}`);
    await pause(RULES_SEEN_MS);
  };
  const writes = () =>
    openLoop({
      port: leader,
      connections: 64,
      seconds,
      ratePerSecond: WRITES_PER_SECOND,
      request: put('new', 10_000),
    });
  const alone: LoadResult[] = [];
  const beside: LoadResult[] = [];
  const rates: number[] = [];
  await writes(); // warms up
  for (let round = 0; round < rounds; round++) {
    await rule(KEEP_ALL);
    alone.push(await writes());
    await rule(KEEP_TEN);
    const [before, begin] = [await left(), performance.now()];
    beside.push(await writes());
    rates.push(((before - (await left())) * 1_000) / (performance.now() - begin));
    say(`  round ${round + 1}: ${rates.at(-1)?.toFixed(0)}/s removed`);
  }
  await Promise.all([api.close(), database.end()]);
  const quantiles = (results: readonly LoadResult[], q: number) =>
    results.map(({ latencies }) => quantile(latencies, q));
  const ratios = quantiles(beside, 0.99).map((with_, i) => with_ / (quantiles(alone, 0.99)[i] ?? Number.NaN));
  return [
    ['old operations', String(history.latencies.length), ''],
    ['removed operations/s', spread(rates, 0), ''],
    ...([0.5, 0.99] as const).flatMap((q): Row[] => [
      [`p${q * 100} of a publish without, ms`, spread(quantiles(alone, q)), ''],
      [`p${q * 100} of a publish beside it, ms`, spread(quantiles(beside, q)), ''],
    ]),
    ['p99: how many times as long', spread(ratios, 2), '<= 2'],
    ['answers other than 2xx', unwantedOf([...alone, ...beside]), '0'],
  ];
}
