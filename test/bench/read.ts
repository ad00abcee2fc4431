import { ApiClient } from '#libs/testing';
import { startBareServer, startGateway } from './contestants.js';
import { requestBytes } from './http-connection.js';
import { closedLoop, type LoadResult, openLoop, unwantedOf } from './load.js';
import type { BenchOptions } from './options.js';
import { printTable, type Row, say } from './report.js';
import { median, quantile, spread } from './statistics.js';
import { someFollower, withCluster } from './system.js';

const PATH = '/v1/namespaces/bench/configs/hot';
const REQUEST = requestBytes('GET', PATH);
const CONNECTIONS = 64;
const OPEN_RATE = 1_000;

interface Contestant {
  name: string;
  port: number;
  pid: number;
  results: LoadResult[];
}

export function benchRead({ quick }: BenchOptions): Promise<void> {
  return withCluster(async (cluster) => {
    const rounds = quick ? 2 : 11;
    const seconds = quick ? 1 : 3;
    const api = new ApiClient(cluster.gateway);
    await api.put('bench', 'hot', Buffer.alloc(1_024, 'x'));
    await api.close();
    const node = await someFollower(cluster);
    const bare = await startBareServer(node.port, PATH);
    const gateway = await startGateway(cluster, PATH);
    try {
      const contestants: Contestant[] = [
        { name: 'bare node:http', port: bare.port, pid: bare.child.pid ?? 0, results: [] },
        { name: 'one node', port: node.port, pid: cluster.pid(node.id), results: [] },
        { name: 'one gateway', port: gateway.port, pid: gateway.child.pid ?? 0, results: [] },
      ];
      const load = { connections: CONNECTIONS, seconds, request: () => REQUEST };
      for (const { port } of contestants) await closedLoop({ ...load, port });
      for (let i = 0; i < rounds; i++) {
        for (const { port, pid, results } of contestants) {
          results.push(await closedLoop({ ...load, port, pids: [pid] }));
        }
        const rates = contestants.map(({ results }) => results.at(-1)?.perSecond.toFixed(0));
        say(`  round ${i + 1}: ${rates.join(' ')}`);
      }
      const open = { ...load, seconds: quick ? 3 : 20, ratePerSecond: OPEN_RATE };
      const openNode = await openLoop({ ...open, port: node.port });
      const openGateway = await openLoop({ ...open, port: gateway.port });
      report(contestants, openNode, openGateway, rounds);
    } finally {
      bare.child.kill('SIGKILL');
      gateway.child.kill('SIGKILL');
    }
  });
}

function report(
  contestants: readonly Contestant[],
  openNode: LoadResult,
  openGateway: LoadResult,
  rounds: number,
): void {
  const [bare, node, gateway] = contestants.map(({ results }) => results);
  const all = [...contestants.flatMap(({ results }) => results), openNode, openGateway];
  const p99 = ({ latencies }: LoadResult) => quantile(latencies, 0.99).toFixed(1);
  printTable(`read: a value of 1 KB, ${CONNECTIONS} connections, ${rounds} alternating rounds`, [
    ...contestants.flatMap(({ name, results }): Row[] => [
      [`${name}: reads/s`, spread(ratesOf(results), 0), ''],
      ['  its CPU, us per read', spread(cpuOf(results)), name === 'one gateway' ? '<= 150' : ''],
    ]),
    ['one node : bare', ratio(node, bare), '>= 0.8'],
    ['  by CPU per read', cpuRatio(node, bare), ''],
    ['one gateway before the nodes : bare', ratio(gateway, bare), '>= 0.25'],
    [`one node, ${OPEN_RATE}/s open loop: p99 ms`, p99(openNode), '<= 10'],
    [`one gateway, ${OPEN_RATE}/s open loop: p99 ms`, p99(openGateway), '<= 10'],
    ['answers other than 2xx', unwantedOf(all), '0'],
  ]);
}

function ratesOf(results: readonly LoadResult[]): number[] {
  return results.map(({ perSecond }) => perSecond);
}

function cpuOf(results: readonly LoadResult[]): number[] {
  return results.flatMap(({ cpuMicros }) => cpuMicros[0] ?? []);
}

/** Round by round, so that what disturbed the machine disturbed both sides. */
function ratio(mine: readonly LoadResult[] = [], bare: readonly LoadResult[] = []): string {
  return spread(
    mine.map(({ perSecond }, i) => perSecond / (bare[i]?.perSecond ?? Number.NaN)),
    2,
  );
}

function cpuRatio(mine: readonly LoadResult[] = [], bare: readonly LoadResult[] = []): string {
  return (median(cpuOf(bare)) / median(cpuOf(mine))).toFixed(2);
}
