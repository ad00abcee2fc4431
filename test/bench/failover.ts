import { type Cluster, HandNode, pause, until } from '#libs/testing';
import type { BenchOptions } from './options.js';
import { printTable, say } from './report.js';
import { median, spread } from './statistics.js';
import { withCluster } from './system.js';
import { Writers } from './writers.js';

const WRITERS = 8;

export function benchFailover({ quick }: BenchOptions): Promise<void> {
  return withCluster(async (cluster) => {
    const writers = new Writers(cluster.gateway, WRITERS);
    await pause(2_000);
    const times = quick ? 3 : 20;

    const killed: number[] = [];
    for (let i = 0; i < times; i++) {
      const leader = await cluster.leader();
      killed.push(await gapOf(cluster, writers, () => cluster.kill(leader)));
    }
    const failedByKills = writers.failures.length;

    const durations: number[] = [];
    const handedOver: number[] = [];
    for (let i = 0; i < times; i++) {
      const handOver = async () => {
        durations.push((await cluster.handOver()).durationMs);
      };
      handedOver.push(await gapOf(cluster, writers, handOver));
    }
    const failedByHandovers = writers.failures.length - failedByKills;

    const byHand: number[] = [];
    for (let i = 0; i < (quick ? 1 : 5); i++) {
      byHand.push(await killNodeByHand(cluster, writers, `by-hand-${i}`));
    }
    await writers.stop();

    printTable(
      `failover: ${WRITERS} clients writing through the gateway, gap without an acknowledgement, ms`,
      [
        [`leader killed, ${killed.length} times: median`, median(killed).toFixed(0), '<= 200'],
        ['  longest', Math.max(...killed).toFixed(0), '<= 800'],
        ['  failed writes', String(failedByKills), '0'],
        [
          `leader started by hand killed, ${byHand.length} times: median`,
          median(byHand).toFixed(0),
          '<= 200',
        ],
        ['  longest', Math.max(...byHand).toFixed(0), '<= 800'],
        [`planned handover, ${handedOver.length} times: gap`, spread(handedOver, 0), '<= 300'],
        ['  duration answered', spread(durations, 0), '<= 300'],
        ['  failed writes', String(failedByHandovers), '0'],
        ['all failed writes', summary(writers.failures), '0'],
      ],
    );
  });
}

async function gapOf(cluster: Cluster, writers: Writers, fault: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await fault();
  await writers.acknowledgedAfter(performance.now() + 1_000);
  const gap = writers.gapMs(from);
  say(`  gap ${gap.toFixed(0)} ms`);
  await cluster.whole();
  await pause(500);
  return gap;
}

/** No supervisor knows of this leader: its death must be seen by those who watch it. */
async function killNodeByHand(cluster: Cluster, writers: Writers, id: string): Promise<number> {
  const node = await HandNode.start(cluster, { id });
  await cluster.handOver(id);
  await until('it leads', async () => (await cluster.leader()) === id, 5_000);
  await pause(1_000);
  return gapOf(cluster, writers, () => node.kill());
}

function summary(failures: readonly string[]): string {
  const groups = Map.groupBy(failures, (failure) => failure);
  return groups.size === 0 ? '0' : [...groups].map(([what, all]) => `${all.length} x ${what}`).join(', ');
}
