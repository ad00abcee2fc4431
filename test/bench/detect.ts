import { type Cluster, HandNode, pause, until } from '#libs/testing';
import type { BenchOptions } from './options.js';
import { printTable, type Row, say } from './report.js';
import { median, quantile } from './statistics.js';
import { withCluster } from './system.js';
import { Writers } from './writers.js';

const LOOK_EVERY_MS = 5;
const WRITERS = 4;

/** How long faults stay unseen, by what a gateway shows to everybody. */
export function benchDetect({ quick }: BenchOptions): Promise<void> {
  return withCluster(async (cluster) => {
    const times = quick ? 3 : 30;
    const writers = new Writers(cluster.gateway, WRITERS);
    const killed = await repeat('follower killed', times, () => killFollower(cluster));
    const frozen = await repeat('follower frozen', times, () => freezeFollower(cluster));
    const led = await repeat('leader frozen', times, () => freezeLeader(cluster, writers));
    await writers.stop();
    printTable(`detect: ${times} faults of each kind under ${WRITERS} writing clients, ms until`, [
      ...rows('follower killed: it is shown as failed', killed, '<= 300'),
      ...rows('follower frozen: it is shown as failed', frozen, '<= 2500'),
      ...rows('leader frozen: a write is acknowledged by the next', led, '<= 3000'),
      ['failed writes', String(writers.failures.length), '0'],
    ]);
  });
}

function rows(what: string, samples: readonly number[], wanted: string): Row[] {
  const at = (q: number) => quantile(samples, q).toFixed(0);
  return [
    [what, median(samples).toFixed(0), ''],
    ['  smallest, 90th percentile', `${at(0)}, ${at(0.9)}`, ''],
    ['  longest', at(1), wanted],
  ];
}

async function repeat(what: string, times: number, fault: () => Promise<number>): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    samples.push(await fault());
    say(`  ${what}: ${samples.at(-1)?.toFixed(0)} ms`);
  }
  return samples;
}

/** A node that no supervisor starts again meanwhile. */
async function killFollower(cluster: Cluster): Promise<number> {
  const node = await HandNode.start(cluster, { id: 'node-9' });
  await pause(1_000);
  const begunMs = performance.now();
  process.kill(node.pid, 'SIGKILL');
  await failed(cluster, node.id);
  const tookMs = performance.now() - begunMs;
  await node.kill();
  return tookMs;
}

async function freezeFollower(cluster: Cluster): Promise<number> {
  const { leaderId } = await cluster.whole();
  const follower = leaderId === 'node-1' ? 'node-2' : 'node-1';
  await pause(1_000);
  const begunMs = performance.now();
  cluster.freeze(follower);
  try {
    await failed(cluster, follower);
    return performance.now() - begunMs;
  } finally {
    cluster.thaw(follower);
  }
}

async function freezeLeader(cluster: Cluster, writers: Writers): Promise<number> {
  const { leaderId, term } = await cluster.whole();
  if (leaderId === null) throw new Error('there is no leader to freeze');
  await pause(1_000);
  const begunMs = performance.now();
  cluster.freeze(leaderId);
  try {
    await until('another leader', async () => (await cluster.view()).term > term, 15_000, LOOK_EVERY_MS);
    await writers.acknowledgedAfter(performance.now());
    return writers.gapMs(begunMs);
  } finally {
    cluster.thaw(leaderId);
  }
}

function failed(cluster: Cluster, nodeId: string): Promise<unknown> {
  const isFailed = async () =>
    (await cluster.view()).nodes.some(({ id, status }) => id === nodeId && status === 'failed');
  return until(`${nodeId} is failed`, isFailed, 15_000, LOOK_EVERY_MS);
}
