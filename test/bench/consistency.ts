import fastify, { type FastifyInstance } from 'fastify';
import { DigestReply } from '#libs/contracts';
import { systemClock } from '#libs/kernel';
import { checksumOf, DIGEST_FORMAT, type Entry, StateBuilder } from '#libs/replica';
import { cpuSeconds, processTree } from '#libs/testing';
import { registerDigest } from '../../apps/config-node/src/internal-api/digest.routes.js';
import { ReplicaHost } from '../../apps/config-node/src/replica/replica-host.js';
import type { ConsistencySettings } from '../../apps/consistency/src/consistency.config.js';
import { DigestClient } from '../../apps/consistency/src/digest-client.js';
import type { Pin } from '../../apps/consistency/src/domain/comparison/pin.js';
import { EntriesStore } from '../../apps/consistency/src/reference/entries.store.js';
import { ReferenceStore } from '../../apps/consistency/src/reference/reference.store.js';
import { digestOf } from '../../apps/consistency/src/reference/reference-check.js';
import { RoundRunner } from '../../apps/consistency/src/rounds/round-runner.js';
import { type LeaderLab, openMigratedLab, SYNCED } from '../integration/storage/storage-lab.js';
import { usedBytes } from './memory.js';
import type { BenchOptions } from './options.js';
import { printTable, type Row, say } from './report.js';
import { spread, sum } from './statistics.js';

const SIZES = [10_000, 100_000];
/** The heap must be allowed to grow: four replicas are in one process. */
const MILLION = [...SIZES, 1_000_000];
const NODES = ['node-1', 'node-2', 'node-3', 'node-4'];
const AT = '2026-01-01T00:00:00.000Z';
const CHAIN = 'c'.repeat(64);
const SETTINGS = {
  ...{ round: { format: DIGEST_FORMAT, maxBuckets: 101 }, waitMs: 500, answerMs: 5_000, keysMs: 5_000 },
} as ConsistencySettings;

/**
 * What it costs to know that four nodes hold the same, and to find the one key that is wrong: real doors and sockets, the
 * truth from a real Postgres. All in one process: what a node works is its share of all that is done. With `--million`
 * also at 1,000,000 keys.
 */
export async function benchConsistency({ quick }: BenchOptions): Promise<void> {
  const rows: Row[] = [];
  const sizes = process.argv.includes('--million') ? MILLION : quick ? [10_000] : SIZES;
  for (const keys of sizes) rows.push(...(await measure(keys, quick ? 5 : 30)));
  printTable('consistency: 4 nodes (median, smallest-largest)', rows);
}

async function measure(keys: number, rounds: number): Promise<Row[]> {
  say(`${keys} keys`);
  const storage = await openMigratedLab(SYNCED);
  const calls = new DigestClient('the key of the bench');
  const { nodes, bytesPerKey } = await startNodes(keys);
  try {
    await fillLog(storage, keys);
    const truth = new ReferenceStore(storage.pool({ role: 'holdfast_consistency' }));
    const runner = new RoundRunner(truth, calls, SETTINGS);
    const pin = { version: keys, chain: CHAIN };
    const addresses = new Map(nodes.map(({ host, address }) => [host.nodeId, address]));
    const scan = await digestOfEntries(storage, keys);
    const equal = await roundsOf(runner, calls, pin, addresses, rounds, 'match');
    damage(nodes.at(-1)?.host, keys);
    const wrong = await roundsOf(runner, calls, pin, addresses, rounds, 'mismatch');
    const door = await doorMs(nodes[0], pin, rounds);
    return [
      [`${keys} keys: a round, all equal, ms`, spread(equal.ms), ''],
      ['  memory of a replica, bytes per key (values of some 12)', bytesPerKey.toFixed(0), ''],
      ['  work at a node: its door, ms', spread(door, 2), '<= 5'],
      [
        '  bytes of answers per node',
        spread(
          equal.bytes.map((bytes) => bytes / NODES.length),
          0,
        ),
        '<= 4096',
      ],
      ['  finding the one key that is wrong, ms', spread(wrong.ms), '<= 500'],
      ['  bytes of answers for that, in all', spread(wrong.bytes, 0), '<= 65536'],
      ['  digest of the state in the database, ms', scan.ms.toFixed(0), ''],
      ['    without the rests between pages, ms', scan.busyMs.toFixed(0), ''],
      ['    CPU of the service for it, ms', scan.ownMs.toFixed(0), ''],
      ['    CPU of Postgres for it, ms', scan.postgresMs.toFixed(0), ''],
      ['    and so it is computed every, s', (Math.max(60_000, scan.busyMs * 100) / 1_000).toFixed(0), ''],
    ];
  } finally {
    await calls.close();
    for (const { server } of nodes) await server.close();
    await storage.close();
  }
}

/** As the service does it, beside everything else. */
async function digestOfEntries(storage: LeaderLab, keys: number) {
  const entries = new EntriesStore(storage.pool({ role: 'holdfast_consistency' }), systemClock);
  const postgresS = () => sum(processTree(storage.server.pid).map(cpuSeconds));
  const [before, own, begin] = [postgresS(), process.cpuUsage(), performance.now()];
  const { counted, restedMs } = await entries.atHead(async (at) => {
    const { count } = await digestOf(at);
    return { counted: count, restedMs: at.restedMs };
  });
  if (counted !== keys) throw new Error(`${counted} entries, not ${keys}`);
  const ms = performance.now() - begin;
  const { user, system } = process.cpuUsage(own);
  return {
    ms,
    busyMs: ms - restedMs,
    ownMs: (user + system) / 1_000,
    postgresMs: (postgresS() - before) * 1_000,
  };
}

interface BenchNode {
  host: ReplicaHost;
  server: FastifyInstance;
  address: string;
}

/** The same entries in all of them: what is measured does not change them. */
async function startNodes(keys: number): Promise<{ nodes: BenchNode[]; bytesPerKey: number }> {
  const entries = Array.from({ length: keys }, (_, i) => entryOf(i));
  const nodes: BenchNode[] = [];
  let bytesPerKey = 0;
  for (const nodeId of NODES) {
    const before = usedBytes();
    const host = new ReplicaHost(nodeId, systemClock);
    const state = new StateBuilder();
    for (const entry of entries) state.add(entry);
    host.load({ clusterId: 'bench', version: keys, chain: CHAIN, term: 1 }, state, 'compacted');
    bytesPerKey = (usedBytes() - before) / keys;
    const server = fastify();
    registerDigest(server, host, {
      verification: { verified: 'by-peer' },
      scrubber: { damagedBuckets: [] },
    });
    const address = await server.listen({ port: 0, host: '127.0.0.1' });
    nodes.push({ host, server, address });
  }
  return { nodes, bytesPerKey };
}

async function roundsOf(
  runner: RoundRunner,
  calls: DigestClient,
  pin: Pin,
  addresses: ReadonlyMap<string, string>,
  rounds: number,
  expected: 'match' | 'mismatch',
): Promise<{ ms: number[]; bytes: number[] }> {
  const ms: number[] = [];
  const bytes: number[] = [];
  for (let i = -2; i < rounds; i++) {
    const before = calls.receivedBytes;
    const begin = performance.now();
    const outcomes = await runner.compare(pin, addresses);
    const last = outcomes.at(-1);
    if (last?.result !== expected) throw new Error(`${last?.result} ${last?.reason}`);
    if (expected === 'mismatch' && last.differences.length !== 1) throw new Error('not the one key');
    if (i < 0) continue; // warms up
    ms.push(performance.now() - begin);
    bytes.push(calls.receivedBytes - before);
  }
  return { ms, bytes };
}

/** Without the network: what the event loop of a node is busy with. */
async function doorMs(node: BenchNode | undefined, pin: Pin, rounds: number): Promise<number[]> {
  const ms: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const begin = performance.now();
    const reply = await node?.server.inject(`/internal/digest?version=${pin.version}`);
    DigestReply.parse(reply?.json());
    ms.push(performance.now() - begin);
  }
  return ms;
}

function damage(host: ReplicaHost | undefined, keys: number): void {
  const space = Reflect.get(host?.replica ?? {}, 'space');
  const wrong = { ...entryOf(keys >> 1), contentType: 'application/json' };
  space.repair(wrong.namespace, wrong.key, wrong);
  Reflect.get(host?.replica ?? {}, 'forgetDigests').call(host?.replica);
}

function entryOf(i: number): Entry {
  const value = Buffer.from(`value ${i}`);
  return {
    ...{ namespace: 'bench', key: `group-${i >> 10}/key-${i}`, value, contentType: 'text/plain' },
    ...{ version: i + 1, checksum: checksumOf(value), updatedAt: AT },
  };
}

/** The log as the same entries would have left it. */
async function fillLog({ admin }: LeaderLab, keys: number): Promise<void> {
  await admin.query(
    `insert into config.changes (version, term, chain, kind, bytes, created_at)
      select v, 1, decode($2, 'hex'), 'change', 10, $3::timestamptz from generate_series(1, $1::int) as v`,
    [keys, CHAIN, AT],
  );
  const values = `convert_to('value ' || v - 1, 'UTF8')`;
  await admin.query(
    `insert into config.change_ops (version, ordinal, namespace, key, op, value, content_type, checksum, created)
      select v, 0, 'bench', 'group-' || ((v - 1) >> 10) || '/key-' || v - 1, 'put', ${values}, 'text/plain',
        sha256(${values}), true from generate_series(1, $1::int) as v`,
    [keys],
  );
  await admin.query(
    `insert into config.entries (namespace, key, value, content_type, checksum, version, created_at)
      select namespace, key, value, content_type, checksum, version, $1 from config.change_ops`,
    [AT],
  );
  await admin.query('analyze config.change_ops, config.entries, config.changes');
}
