import { ConsistentHash, LeastConnections, SmoothRoundRobin, type Strategy, Upstream } from '#libs/balancer';
import { seededRng } from '#libs/kernel';
import { hashKeyOf } from '../../apps/gateway/src/domain/hash-key.js';
import type { BenchOptions } from './options.js';
import { printTable, type Row, say } from './report.js';
import { SlowUpstream } from './slow-upstream.js';
import { median, quantile, spread } from './statistics.js';

const STRATEGIES: Record<string, () => Strategy> = {
  'round-robin': () => new SmoothRoundRobin('equal', 0),
  'weighted-round-robin': () => new SmoothRoundRobin('weighted', 0),
  'least-connections': () => new LeastConnections(),
  'consistent-hash': () => new ConsistentHash(hashKeyOf),
};

const NODES = 10;
const TARGETS = Array.from(
  { length: 1_000 },
  (_, i) => `/v1/namespaces/shop/configs/checkout/limits-${i}?minVersion=7`,
);

const RATE_PER_SECOND = 1_200;
const UPSTREAMS = 5;
const CONCURRENCY = 4;
const MEAN_MS = 10;
const SLOWER = 10;
/** What is not answered so long after the last request has begun counts with the time that it has waited. */
const DRAIN_MS = 2_000;

/** What a pick costs, and what becomes of the latest one percent when one of five nodes is slow. */
export async function benchBalance({ quick }: BenchOptions): Promise<void> {
  benchPicks(quick ? 3 : 15, quick ? 50_000 : 400_000);
  await benchSlowNode(quick ? 2 : 5, quick ? 2 : 10);
}

function benchPicks(rounds: number, picks: number): void {
  const rows = Object.entries(STRATEGIES).map(([name, make]): Row => {
    const strategy = make();
    pickMany(strategy, picks);
    const nanoseconds = Array.from({ length: rounds }, () => pickMany(strategy, picks));
    const perSecond = (1e9 / median(nanoseconds) / 1e6).toFixed(1);
    return [`${name}: ns a pick (${perSecond} million/s)`, spread(nanoseconds, 0), '<= 1000'];
  });
  printTable(`balance: a pick among ${NODES} nodes of different weights, ${rounds} rounds of ${picks}`, rows);
}

/** Nanoseconds of CPU a pick. Every request stays under way for the time of sixty others, as it does in a gateway. */
function pickMany(strategy: Strategy, picks: number): number {
  const nodes = Array.from({ length: NODES }, (_, index) => {
    const upstream = new Upstream(`node-${index}`);
    upstream.weight = 1 + (index % 3);
    return upstream;
  });
  const underWay: (Upstream | undefined)[] = new Array(64).fill(undefined);
  const begin = process.cpuUsage();
  for (let i = 0; i < picks; i++) {
    const ended = underWay[i & 63];
    if (ended !== undefined) ended.active -= 1;
    const chosen = strategy.pick(nodes, TARGETS[i % TARGETS.length] ?? '');
    if (chosen !== undefined) chosen.active += 1;
    underWay[i & 63] = chosen;
  }
  const { user, system } = process.cpuUsage(begin);
  return ((user + system) * 1_000) / picks;
}

async function benchSlowNode(rounds: number, seconds: number): Promise<void> {
  const cases: Record<string, { strategy: string; slow: boolean; p99: number[] }> = {
    'least connections, none slow': { strategy: 'least-connections', slow: false, p99: [] },
    'least connections, one slow': { strategy: 'least-connections', slow: true, p99: [] },
    'round robin, one slow': { strategy: 'round-robin', slow: true, p99: [] },
  };
  for (let round = 1; round <= rounds; round++) {
    for (const one of Object.values(cases)) {
      one.p99.push(quantile(await openLoop(one.strategy, one.slow, seconds, round), 0.99));
    }
    say(
      `  round ${round}: ${Object.values(cases)
        .map(({ p99 }) => p99.at(-1)?.toFixed(0))
        .join(' ')}`,
    );
  }
  const [none = [], least = [], turns = []] = Object.values(cases).map(({ p99 }) => p99);
  const ratios = (slow: readonly number[]) => slow.map((p99, i) => p99 / (none[i] ?? Number.NaN));
  printTable(
    `balance: ${UPSTREAMS} nodes of ${CONCURRENCY} x ${MEAN_MS} ms, ${RATE_PER_SECOND}/s, one ${SLOWER} times slower, ${rounds} rounds of ${seconds} s`,
    [
      ...Object.entries(cases).map(([name, { p99 }]): Row => [`${name}: p99 ms`, spread(p99, 0), '']),
      ['least connections, one slow : none', spread(ratios(least), 1), '<= 3'],
      ['round robin, one slow : none', spread(ratios(turns), 1), ''],
    ],
  );
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Latencies of requests that come at a fixed rate, each counted from when it was due. */
async function openLoop(
  strategyName: string,
  slow: boolean,
  seconds: number,
  seed: number,
): Promise<number[]> {
  const rng = seededRng(seed);
  const strategy = STRATEGIES[strategyName]?.() ?? new LeastConnections();
  const nodes = Array.from({ length: UPSTREAMS }, (_, index) => new Upstream(`node-${index}`));
  const servers = new Map(
    nodes.map((node, index) => [
      node,
      new SlowUpstream(slow && index === 0 ? MEAN_MS * SLOWER : MEAN_MS, CONCURRENCY, rng),
    ]),
  );
  const latencies: number[] = [];
  const waiting = new Set<number>();
  const total = seconds * RATE_PER_SECOND;
  const begin = performance.now();
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - begin) * RATE_PER_SECOND) / 1_000));
    for (; sent < due; sent++) {
      const node = strategy.pick(nodes, TARGETS[sent % TARGETS.length] ?? '');
      if (node === undefined) continue;
      const dueMs = begin + (sent * 1_000) / RATE_PER_SECOND;
      node.active += 1;
      waiting.add(dueMs);
      servers.get(node)?.serve(() => {
        node.active -= 1;
        if (waiting.delete(dueMs)) latencies.push(performance.now() - dueMs);
      });
    }
    await sleep(1);
  }
  const untilMs = performance.now() + DRAIN_MS;
  while (waiting.size > 0 && performance.now() < untilMs) await sleep(10);
  for (const dueMs of waiting) latencies.push(performance.now() - dueMs);
  waiting.clear();
  return latencies;
}
