import type { Change } from '#libs/contracts';
import {
  bucketOf,
  chainAfter,
  checksumOf,
  DIGEST_BUCKETS,
  type Entry,
  GENESIS_CHAIN,
  Replica,
  Scrub,
  StateBuilder,
  StateDigest,
} from '#libs/replica';
import { usedBytes } from './memory.js';
import type { BenchOptions } from './options.js';
import { printTable } from './report.js';
import { spread } from './statistics.js';

const VALUE_BYTES = 1_024;
/** As the scrub of a node takes them. */
const STEP_BYTES = 256 * 1024;
const ROUND_S = 51.2;

/** What it costs to know that two nodes hold the same: no cluster, only the replica. */
export async function benchDigest({ quick }: BenchOptions): Promise<void> {
  const keys = quick ? 10_000 : 100_000;
  const rounds = quick ? 2 : 9;
  const emptyBytes = usedBytes();
  const replica = loaded(keys);
  const perKey = (usedBytes() - emptyBytes) / keys - VALUE_BYTES;
  const changes = chained(replica, (rounds + 1) * PER_ROUND);
  measure(changes.slice(0, PER_ROUND), replica); // warms up
  const costs = Array.from({ length: rounds }, (_, i) =>
    measure(changes.slice((i + 1) * PER_ROUND, (i + 2) * PER_ROUND), replica),
  );
  const whole = costs.map(({ chainUs, digestUs }) => chainUs + digestUs);
  const scrubMs = Array.from({ length: rounds }, () => timed(() => scrub(replica)));
  const loadMs = Array.from({ length: quick ? 1 : 3 }, () => timed(() => loaded(keys)));
  const megabytes = (keys * VALUE_BYTES) / 1024 ** 2;
  const us = (pick: (cost: Cost) => number) => spread(costs.map(pick));
  printTable(`digest: ${keys} keys of 1 KB, ${rounds} rounds (median, smallest-largest)`, [
    ['chain and digest of a change, us', spread(whole), '<= 12'],
    ['  the chain', us(({ chainUs }) => chainUs), ''],
    ['  the digest: one entry out, one in', us(({ digestUs }) => digestUs), ''],
    ['  beside them the checksum of the value', us(({ checksumUs }) => checksumUs), ''],
    ['applying a change from elsewhere, all in all, us', us(({ applyUs }) => applyUs), ''],
    ['memory of a key beside its value, bytes', perKey.toFixed(0), ''],
    ['loading all entries with their digest, ms', spread(loadMs, 0), ''],
    ['digest computed anew from all values, ms', spread(scrubMs, 0), ''],
    [
      '  MB/s',
      spread(
        scrubMs.map((ms) => megabytes / (ms / 1_000)),
        0,
      ),
      '',
    ],
    [
      `  of a core, when a round takes ${ROUND_S} s, %`,
      spread(
        scrubMs.map((ms) => ms / ROUND_S / 10),
        2,
      ),
      keys === 100_000 ? '<= 2' : '',
    ],
  ]);
}

interface Cost {
  chainUs: number;
  digestUs: number;
  checksumUs: number;
  applyUs: number;
}

const PER_ROUND = 5_000;

function measure(changes: readonly Change[], replica: Replica): Cost {
  const per = (ms: number) => (ms * 1_000) / changes.length;
  const digest = new StateDigest();
  const puts = changes.flatMap(({ operations, version }) =>
    operations.flatMap((operation) => (operation.op === 'put' ? [{ ...operation, version }] : [])),
  );
  const before = replica.chain;
  const chainMs = timed(() => {
    let chain = before;
    for (const change of changes) chain = chainAfter(chain, change);
  });
  const checksumMs = timed(() => {
    for (const { value } of puts) checksumOf(value);
  });
  const digestMs = timed(() => {
    for (const put of puts) {
      const bucket = bucketOf(put.namespace, put.key);
      digest.remove(bucket, put);
      digest.add(bucket, put);
      if (digest.root.length !== 64) throw new Error('no digest');
    }
  });
  const applyMs = timed(() => {
    for (const change of changes) {
      const result = replica.apply(change);
      if (result !== 'applied') throw new Error(result);
    }
  });
  return {
    chainUs: per(chainMs),
    digestUs: per(digestMs),
    checksumUs: per(checksumMs),
    applyUs: per(applyMs),
  };
}

function scrub(replica: Replica): void {
  const scrub = new Scrub(replica);
  for (let finished = 0; finished < DIGEST_BUCKETS; ) {
    const step = scrub.scan(STEP_BYTES);
    if (step.findings.length > 0) throw new Error(JSON.stringify(step.findings));
    if (step.finished !== undefined) finished += 1;
  }
}

function loaded(keys: number): Replica {
  const state = new StateBuilder();
  for (let i = 0; i < keys; i++) state.add(entryOf(i, i + 1));
  const replica = new Replica();
  replica.load({ clusterId: 'bench', version: keys, chain: GENESIS_CHAIN, term: 1 }, state);
  return replica;
}

function entryOf(i: number, version: number): Entry {
  const value = valueAt(i, version);
  const key = `group-${i >> 10}/key-${i}`;
  const updatedAt = '2026-01-01T00:00:00.000Z';
  return {
    ...{ namespace: 'bench', key, value, contentType: 'text/plain', version },
    ...{ checksum: checksumOf(value), updatedAt },
  };
}

function valueAt(i: number, version: number): Buffer {
  const value = Buffer.allocUnsafeSlow(VALUE_BYTES).fill('x');
  value.write(`${i} ${version}`);
  return value;
}

/** Changes that continue the replica's history, each of one put over an existing key. */
function chained(replica: Replica, count: number): Change[] {
  const changes: Change[] = [];
  let { chain } = replica;
  for (let i = 0; i < count; i++) {
    const version = replica.version + 1 + i;
    const { namespace, key, value, contentType, checksum } = entryOf((i * 7) % replica.version, version);
    const content = {
      ...{ version, term: 1, kind: 'change' as const, author: 'bench', comment: null },
      operations: [{ op: 'put' as const, namespace, key, value, contentType, checksum }],
    };
    chain = chainAfter(chain, content);
    changes.push({ ...content, chain, createdAt: '2026-01-01T00:00:00.000Z' });
  }
  return changes;
}

function timed(run: () => unknown): number {
  const begin = performance.now();
  run();
  return performance.now() - begin;
}
