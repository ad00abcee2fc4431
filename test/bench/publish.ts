import { requestBytes } from './http-connection.js';
import { closedLoop, type LoadResult, unwantedOf } from './load.js';
import type { BenchOptions } from './options.js';
import { printTable, type Row, say } from './report.js';
import { quantile, spread } from './statistics.js';
import { durabilitySettings, portOf, withCluster } from './system.js';

const VALUE = Buffer.alloc(1_024, 'x');
const KEYS = 10_000;
const CLIENTS = 256;

function publishRequest(i: number): Buffer {
  const path = `/v1/namespaces/bench/configs/k${i % KEYS}`;
  return requestBytes('PUT', path, { 'Content-Type': 'text/plain' }, VALUE);
}

export function benchPublish({ quick }: BenchOptions): Promise<void> {
  return withCluster(async (cluster) => {
    const rounds = quick ? 2 : 9;
    const seconds = quick ? 2 : 6;
    const leader = portOf(await cluster.address(await cluster.leader()));
    const run = (port: number, connections: number) =>
      closedLoop({ port, connections, seconds, request: publishRequest });
    await run(leader, 64); // warms up code, caches and files
    await run(cluster.port, 64);

    const direct: LoadResult[] = [];
    const gateway: LoadResult[] = [];
    const single: LoadResult[] = [];
    for (let i = 0; i < rounds; i++) {
      direct.push(await run(leader, CLIENTS));
      gateway.push(await run(cluster.port, CLIENTS));
      single.push(await run(leader, 1));
      const rates = [direct, gateway, single].map((all) => all.at(-1)?.perSecond.toFixed(0));
      say(`  round ${i + 1}: ${rates.join(' ')}`);
    }
    printTable(`publish: values of 1 KB, ${rounds} rounds of ${seconds} s (median, smallest-largest)`, [
      ['Postgres', await durabilitySettings(cluster), 'on, on, on'],
      ...rows(`${CLIENTS} clients, straight to the leader`, direct, '>= 4000', '<= 250'),
      ...rows(`${CLIENTS} clients, through the gateway`, gateway, '>= 2500', ''),
      ...rows('one writer', single, '', 'p50 <= 5, p99 <= 25'),
    ]);
  });
}

function rows(what: string, results: readonly LoadResult[], rate: string, latency: string): Row[] {
  const at = (q: number) => spread(results.map(({ latencies }) => quantile(latencies, q)));
  const rates = results.map(({ perSecond }) => perSecond);
  return [
    [`${what}: changes/s`, spread(rates, 0), rate],
    ['  p50 ms', at(0.5), ''],
    ['  p99 ms', at(0.99), latency],
    ['  answers other than 2xx', unwantedOf(results), '0'],
  ];
}
