import { ApiClient, type Cluster, pause } from '#libs/testing';
import type { BenchOptions } from './options.js';
import { printTable, type Row, say } from './report.js';
import { quantile, sum } from './statistics.js';
import { portOf, someFollower, withCluster } from './system.js';
import { WatchStream } from './watch-stream.js';

const SETTLE_MS = 2_000;
/** Streams opened at once: a burst of thousands would measure the accept queue. */
const OPENING = 100;
const IDLE = 5_000;

export function benchWatch({ quick }: BenchOptions): Promise<void> {
  return withCluster(async (cluster) => {
    const seconds = quick ? 3 : 20;
    const shrink = (count: number) => (quick ? count / 10 : count);
    const doors = [
      { via: 'direct', port: (await someFollower(cluster)).port },
      { via: 'through the gateway', port: cluster.port },
    ];
    const rows: Row[] = [];
    for (const door of doors) {
      const load = { ...door, seconds };
      rows.push(...(await fanOut(cluster, { ...load, watchers: shrink(1_000), rate: 20 })));
      rows.push(...(await fanOut(cluster, { ...load, watchers: shrink(100), rate: 100 })));
      const idle = await openStreams(door.port, shrink(IDLE), 'idle', () => undefined);
      const via = `${door.via}, beside ${idle.length} idle ones`;
      rows.push(...(await fanOut(cluster, { ...load, via, watchers: shrink(100), rate: 20 })));
      rows.push(['  idle streams that ended', String(idle.filter(({ ended }) => ended).length), '0']);
      for (const stream of idle) stream.close();
    }
    rows.push(...(await everywhere(cluster, seconds)));
    printTable(`watch: ${seconds} s each, milliseconds from the commit to the event`, rows);
  });
}

interface FanOut {
  via: string;
  port: number;
  watchers: number;
  rate: number;
  seconds: number;
}

async function fanOut(cluster: Cluster, { via, port, watchers, rate, seconds }: FanOut): Promise<Row[]> {
  const received: { version: number; at: number }[] = [];
  const streams = await openStreams(port, watchers, 'bench', (version, at) => received.push({ version, at }));
  const sent = await publishAtRate(cluster, rate, seconds);
  await pause(SETTLE_MS);
  const missed = sent.size * watchers - received.length;
  const disorder = sum(streams.map((stream) => stream.disorder));
  for (const stream of streams) stream.close();
  const latencies = received.map(({ version, at }) => Math.max(0, at - (sent.get(version) ?? Number.NaN)));
  say(`  ${via}: ${watchers} x ${rate}/s done`);
  return [
    [`${watchers} watchers x ${rate}/s, ${via}: p50`, quantile(latencies, 0.5).toFixed(1), ''],
    ['  p99', quantile(latencies, 0.99).toFixed(1), '<= 50'],
    ['  missed, repeated', `${missed}, ${disorder}`, '0, 0'],
  ];
}

/** From the commit to the moment at which the last of all nodes tells of the change. */
async function everywhere(cluster: Cluster, seconds: number): Promise<Row[]> {
  const { nodes } = await cluster.whole();
  const last = new Map<number, number>();
  const streams = await Promise.all(
    nodes.map(({ address }) =>
      WatchStream.open(portOf(address ?? ''), 'bench', (version, at) => last.set(version, at)),
    ),
  );
  const sent = await publishAtRate(cluster, 100, seconds);
  await pause(SETTLE_MS);
  for (const stream of streams) stream.close();
  const latencies = [...sent].map(([version, at]) => Math.max(0, (last.get(version) ?? Number.NaN) - at));
  return [
    [`commit to visible on all ${nodes.length} nodes, 100/s: p50`, quantile(latencies, 0.5).toFixed(1), ''],
    ['  p99', quantile(latencies, 0.99).toFixed(1), '<= 150'],
  ];
}

async function openStreams(
  port: number,
  count: number,
  namespace: string,
  onChange: (version: number, at: number) => void,
): Promise<WatchStream[]> {
  const streams: WatchStream[] = [];
  while (streams.length < count) {
    const opening = Array.from({ length: Math.min(OPENING, count - streams.length) }, () =>
      WatchStream.open(port, namespace, onChange),
    );
    streams.push(...(await Promise.all(opening)));
  }
  return streams;
}

/**
 * Version -> its time in the database, on this machine's clock. The database takes it when the batch reaches it, just
 * before the commit, so that latencies counted from it are rather too long than too short.
 */
async function publishAtRate(cluster: Cluster, rate: number, seconds: number): Promise<Map<number, number>> {
  const api = new ApiClient(cluster.gateway);
  const sent = new Map<number, number>();
  const begin = performance.now();
  const underWay: Promise<void>[] = [];
  const publish = async (i: number) => {
    const answer = await api.put('bench', `k${i % 100}`, `value ${i}`);
    if (answer.status >= 300) throw new Error(`publish: ${answer.status} ${answer.body}`);
    const { version, createdAt } = JSON.parse(answer.body.toString()) as {
      version: number;
      createdAt: string;
    };
    sent.set(version, Date.parse(createdAt) - performance.timeOrigin);
  };
  for (let i = 0; i < rate * seconds; i++) {
    const waitMs = begin + (i * 1_000) / rate - performance.now();
    if (waitMs > 0) await pause(waitMs);
    underWay.push(publish(i));
  }
  await Promise.all(underWay);
  await api.close();
  return sent;
}
