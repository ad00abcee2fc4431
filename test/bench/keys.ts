import { ApiClient, type Cluster, HandNode, pause, pssBytes, rssBytes, until } from '#libs/testing';
import type { BenchOptions } from './options.js';
import { printTable, say } from './report.js';
import { spread } from './statistics.js';
import { portOf, withCluster } from './system.js';

const PER_CHANGE = 1_000;
const MIB = 1024 * 1024;

export function benchKeys({ quick }: BenchOptions): Promise<void> {
  const keys = quick ? 10_000 : 100_000;
  return withCluster(async (cluster) => {
    const begin = performance.now();
    await publishKeys(cluster, keys);
    const loadedMs = performance.now() - begin;
    const { nodes } = await cluster.whole();
    await pause(quick ? 2_000 : 15_000);
    const pids = nodes.map(({ id }) => cluster.pid(id));
    const resident = pids.map((pid) => rssBytes(pid) / MIB);
    const proportional = pids.map((pid) => pssBytes(pid) / MIB);

    const servingMs: number[] = [];
    for (let i = 0; i < (quick ? 1 : 5); i++) servingMs.push(await restartFromSnapshot(cluster));
    printTable(`keys: ${keys} keys of 1 KB`, [
      ['loaded in, s', (loadedMs / 1_000).toFixed(1), ''],
      ['node, resident MB', spread(resident, 0), '<= 450'],
      ['node, PSS MB', spread(proportional, 0), ''],
      ['start from disk snapshot to serving, ms', spread(servingMs, 0), '<= 3000'],
    ]);
  });
}

async function publishKeys(cluster: Cluster, keys: number): Promise<void> {
  const gateway = new ApiClient(cluster.gateway, 4);
  for (let first = 0; first < keys; first += PER_CHANGE) {
    const operations = Array.from({ length: PER_CHANGE }, (_, i) => ({
      op: 'put',
      namespace: 'bench',
      key: `group-${first / PER_CHANGE}/key-${i}`,
      value: `${first + i}`.padEnd(1_024, 'x'),
    }));
    const answer = await gateway.changeSet({ operations });
    if (answer.status !== 200) throw new Error(`change set: ${answer.status} ${answer.body}`);
  }
  await gateway.close();
}

/** A node by hand, stopped cleanly and started again on its own data: from spawn to the first answered read. */
async function restartFromSnapshot(cluster: Cluster): Promise<number> {
  const first = await HandNode.start(cluster, { id: 'by-hand' });
  await until('it has the keys', () => serves(first.address), 60_000);
  await first.stop();
  const begin = performance.now();
  const second = HandNode.spawn(cluster, { id: 'by-hand', port: portOf(first.address) });
  await until('it serves', () => serves(second.address), 60_000, 5);
  const tookMs = performance.now() - begin;
  say(`  serving after ${tookMs.toFixed(0)} ms`);
  await second.stop();
  return tookMs;
}

async function serves(address: string): Promise<boolean> {
  const api = new ApiClient(address, 1);
  try {
    return (await api.get('bench', 'group-0/key-0')).status === 200;
  } finally {
    await api.close();
  }
}
