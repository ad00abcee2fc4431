import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Cluster, cpuSeconds, pause, processTree, pssBytes } from '#libs/testing';
import type { BenchOptions } from './options.js';
import { printTable, type Row } from './report.js';
import { sum } from './statistics.js';
import { withCluster } from './system.js';

const MIB = 1024 * 1024;

interface Part {
  name: string;
  pids: readonly number[];
}

export async function benchIdle({ quick }: BenchOptions): Promise<void> {
  await withCluster(async (cluster) => {
    await pause(quick ? 5_000 : 60_000); // what starting up stirred settles
    const parts = partsOf(cluster);
    const seconds = quick ? 5 : 60;
    const before = parts.map(cpuOf);
    await pause(seconds * 1_000);
    const cores = parts.map((part, i) => (cpuOf(part) - (before[i] ?? 0)) / seconds);
    const bytes = parts.map(({ pids }) => sum(pids.map(pssBytes)));
    printTable(`idle: memory (PSS) and CPU over ${seconds} s`, [
      ...parts.map(({ name }, i): Row => [name, figures(bytes[i] ?? 0, cores[i] ?? 0), '']),
      ['all', figures(sum(bytes), sum(cores)), '<= 2253 MB, <= 0.25 core'],
    ]);
  });
  await warmStart();
}

function partsOf(cluster: Cluster): Part[] {
  const names = globSync('*.pid', { cwd: join(cluster.home, 'run') }).map((file) => basename(file, '.pid'));
  return [
    { name: 'local', pids: [cluster.parentPid] },
    ...names
      .filter((name) => cluster.pid(name) !== cluster.parentPid)
      .sort()
      .map((name) => ({ name, pids: processTree(cluster.pid(name)) })),
  ];
}

/** A second start with the data of the first, until it says that it is ready. */
async function warmStart(): Promise<void> {
  const first = await Cluster.start();
  await first.whole();
  await first.stop();
  const begin = performance.now();
  const second = await Cluster.start({ home: first.home });
  const tookMs = performance.now() - begin;
  await second.dispose();
  await first.dispose();
  printTable('start', [['warm start to ready, s', (tookMs / 1_000).toFixed(1), '<= 20']]);
}

function cpuOf({ pids }: Part): number {
  return sum(pids.map(cpuSeconds));
}

function figures(bytes: number, cores: number): string {
  return `${(bytes / MIB).toFixed(0).padStart(6)} MB ${cores.toFixed(3)} core`;
}
