import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConsistencyCheckReply, ConsistencyReport, type ConsistencyResult } from '#libs/contracts';
import { type Rng, seededRng } from '#libs/kernel';
import { ApiClient, Cluster, ProxiedNode, pause, until } from '#libs/testing';
import { stall } from './stalls.js';

const MINUTES = Number(process.env.SOAK_MINUTES ?? 30);
const SEED = Number(process.env.SOAK_SEED ?? 4);
const LANES = 20;
const WRITES_PER_S = 200;
const KEYS_PER_LANE = 50;
const CHECK_EVERY_MS = 2_000;
const TOLD_EVERY_MS = 60_000;
const VICTIMS = ['node-1', 'node-2', 'node-3', 'node-4'];
const NODES = VICTIMS.length + 1;

type Counts = Record<ConsistencyResult, number>;

/** What was seen and done, for the lines that are printed. */
class Tally {
  writes = 0;
  refused = 0;
  /** Checks that were asked for, those of them in which every node matched, and those that got no answer. */
  checks = 0;
  whole = 0;
  unanswered = 0;
  readonly results: Counts = { match: 0, mismatch: 0, unknown: 0 };
  readonly reasons = new Map<string, number>();
  /** Regular rounds that found somebody to mismatch, by when they began to. */
  readonly wrongRounds = new Set<string>();
  readonly repairs = new Set<string>();
  readonly done = { kills: 0, stalls: 0, delays: 0, cuts: 0 };

  take({ nodes, repairs, consistent }: ConsistencyCheckReply): void {
    this.checks++;
    if (consistent && nodes.length === NODES) this.whole++;
    for (const { result, reason } of nodes) {
      this.results[result]++;
      if (reason !== null) this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    }
    for (const { place, at } of repairs) this.repairs.add(`${place} ${at}`);
  }

  report({ rounds, repairs }: ConsistencyReport): void {
    for (const { mismatch, firstAt } of rounds) if (mismatch > 0) this.wrongRounds.add(firstAt);
    for (const { place, at } of repairs) this.repairs.add(`${place} ${at}`);
  }

  line(): string {
    const { results, done } = this;
    const reasons = [...this.reasons].map(([reason, count]) => `${reason} ${count}`).join(', ');
    return [
      `${this.writes} writes (${this.refused} refused)`,
      `${this.checks} checks, ${this.whole} with all nodes equal, ${this.unanswered} unanswered`,
      `nodes: match ${results.match}, mismatch ${results.mismatch}, unknown ${results.unknown} (${reasons})`,
      `regular rounds with a mismatch ${this.wrongRounds.size}, repairs ${this.repairs.size}`,
      `kills ${done.kills}, stalls ${done.stalls}, delays ${done.delays}, cuts ${done.cuts}`,
    ].join('; ');
  }
}

/** Nothing is damaged; nodes only lag, stall, die and come back. So nothing may ever be found. */
describe(`${MINUTES} minutes of writes, with nodes that lag and restart`, () => {
  const tally = new Tally();
  const rng = seededRng(SEED);
  let cluster: Cluster;
  let client: ApiClient;
  let proxied: ProxiedNode;
  let endMs = Number.POSITIVE_INFINITY;

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
    proxied = await ProxiedNode.start(cluster, { id: 'node-9', env: { HOLDFAST_NODE_ROLE: 'observer' } });
    client = new ApiClient(cluster.gateway, LANES + 8);
  });
  afterAll(async () => {
    await client?.close();
    await proxied?.close();
    await cluster?.dispose();
  });

  const goesOn = () => performance.now() < endMs;
  async function over<T>(what: (random: Rng) => Promise<T>, restMs: () => number): Promise<void> {
    while (goesOn()) {
      await what(rng);
      await pause(Math.min(restMs(), Math.max(0, endMs - performance.now())));
    }
  }
  const between = (low: number, high: number) => low + rng.next() * (high - low);
  const oneOf = (names: readonly string[]) => names[Math.floor(rng.next() * names.length)] ?? '';

  async function write(lane: number): Promise<void> {
    for (let i = 0; goesOn(); i++) {
      const begunMs = performance.now();
      const key = `lane${lane}/k${i % KEYS_PER_LANE}`;
      const isDelete = i % 10 === 9;
      const request = isDelete ? client.delete('soak', key) : client.put('soak', key, `${i}`);
      const status = await request.then((answer) => answer.status).catch(() => 0);
      if ((status >= 200 && status < 300) || (isDelete && status === 404)) tally.writes++;
      else tally.refused++;
      await pause(Math.max(0, (1_000 * LANES) / WRITES_PER_S - (performance.now() - begunMs)));
    }
  }

  async function check(): Promise<ConsistencyCheckReply> {
    const answer = await client.post('/v1/consistency/check', {});
    return ConsistencyCheckReply.parse(JSON.parse(answer.body.toString()));
  }
  const report = async () => ConsistencyReport.parse(await client.json('/v1/consistency'));

  async function look(): Promise<void> {
    try {
      const reply = await check();
      tally.take(reply);
      for (const found of reply.found) console.log(`found: ${JSON.stringify(found)}`);
      tally.report(await report());
    } catch {
      tally.unanswered++; // while there is no leader, or the gateway's node is the one that stalls
    }
  }

  async function kill(): Promise<void> {
    const name = oneOf(VICTIMS);
    if (!cluster.runs(name)) return;
    await cluster.kill(name);
    tally.done.kills++;
  }

  async function freeze(): Promise<void> {
    const name = oneOf(VICTIMS);
    if (!cluster.runs(name)) return;
    // It may be killed meanwhile: then there is nothing to thaw.
    await stall(cluster, name, between(500, 4_000)).catch(() => undefined);
    tally.done.stalls++;
  }

  async function disturb(): Promise<void> {
    if (rng.next() < 0.5) {
      proxied.http.delay(between(100, 800));
      proxied.bus.delay(between(100, 2_000));
      tally.done.delays++;
    } else {
      proxied.bus.drop();
      if (rng.next() < 0.5) proxied.http.pause();
      tally.done.cuts++;
    }
    await pause(between(1_000, 6_000));
    proxied.heal();
  }

  async function tell(): Promise<void> {
    console.log(`${new Date().toISOString()} ${tally.line()}`);
  }

  it('finds nothing, and finds it often', async () => {
    endMs = performance.now() + MINUTES * 60_000;
    await Promise.all([
      ...Array.from({ length: LANES }, (_, lane) => write(lane)),
      over(look, () => CHECK_EVERY_MS),
      over(kill, () => between(20_000, 40_000)),
      over(freeze, () => between(8_000, 20_000)),
      over(disturb, () => between(4_000, 12_000)),
      over(tell, () => TOLD_EVERY_MS),
    ]);
    await cluster.whole(120_000, NODES);
    await until('all match at the end', async () => (await check()).consistent, 60_000, 500);
    tally.report(await report());
    console.log(`in all: ${tally.line()}`);
    expect([tally.results.mismatch, tally.wrongRounds.size, tally.repairs.size]).toEqual([0, 0, 0]);
    expect(tally.results.match).toBeGreaterThan(tally.results.unknown);
    expect(tally.whole).toBeGreaterThan(tally.checks / 10);
    expect(tally.checks).toBeGreaterThan(MINUTES * 5);
    expect(tally.writes).toBeGreaterThan(MINUTES * 60 * 50);
  });
});
