import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Operation } from '#libs/contracts';
import { type Rng, seededRng, systemClock } from '#libs/kernel';
import { bucketOf, HistoryReplaced, StateDigest } from '#libs/replica';
import type { Fence } from '../../../apps/config-node/src/domain/log.types.js';
import { EntriesStore } from '../../../apps/consistency/src/reference/entries.store.js';
import { after, batchOf, type LeaderLab, lead, openMigratedLab, put } from './storage-lab.js';

const KEYS = 2_500;
const ROUNDS = 12;

let lab: LeaderLab;
let fence: Fence;

beforeAll(async () => {
  lab = await openMigratedLab({ fsync: 'off', synchronous_commit: 'off' });
  fence = await lead(lab, 'node-1');
  for (let i = 0; i < KEYS; i += 500)
    await commit(Array.from({ length: 500 }, (_, n) => put(keyOf(i + n), `first ${i + n}`)));
});
afterAll(() => lab.close());

const keyOf = (n: number) => `k/${n.toString().padStart(5, '0')}`;

async function commit(operations: Operation[]): Promise<void> {
  const batch = batchOf(fence, [{ operations }]);
  if ((await lab.store.commit(fence, batch)) === 'fenced') throw new Error('fenced');
  fence = after(fence, batch);
}

function someOperations(rng: Rng): Operation[] {
  const keys = new Set(Array.from({ length: 1 + rng.int(20) }, () => keyOf(rng.int(KEYS * 1.2))));
  return [...keys].map((key) =>
    rng.int(3) === 0 ? { op: 'delete', namespace: 'app', key } : put(key, `${rng.int(1_000_000)}`),
  );
}

/** Commits without a pause, as long as `task` runs. */
async function whileWriting<T>(rng: Rng, task: () => Promise<T>): Promise<T> {
  let isOver = false;
  const writing = (async () => {
    while (!isOver) await commit(someOperations(rng));
  })();
  try {
    return await task();
  } finally {
    isOver = true;
    await writing;
  }
}

type Told = Record<string, { version: number; checksum: string }>;

/** What the log makes of the state at a version. */
async function stateAt(version: number): Promise<Told> {
  const { rows } = await lab.admin.query(
    `select key, version::int, 'sha256:' || encode(checksum, 'hex') as checksum from (
      select distinct on (namespace, key) * from config.change_ops where version <= $1
      order by namespace, key, version desc, ordinal desc) as last where op = 'put'`,
    [version],
  );
  return Object.fromEntries(rows.map(({ key, version, checksum }) => [key, { version, checksum }]));
}

async function collect(pages: AsyncIterable<readonly { key: string; version: number; checksum: string }[]>) {
  const told: Told = {};
  for await (const page of pages) {
    for (const { key, version, checksum } of page) {
      expect(told[key], `${key} comes once`).toBeUndefined();
      told[key] = { version, checksum };
    }
  }
  return told;
}

/** Backends that keep the database from cleaning up, but for those that run a statement at this moment. */
async function heldSnapshots(): Promise<number> {
  const { rows } = await lab.admin.query(
    `select count(*)::int as n from pg_stat_activity
     where usename like 'holdfast_%' and backend_xmin is not null and state = 'idle in transaction'`,
  );
  return rows[0].n;
}

describe('finding 15: a state that is read while it is written to', () => {
  it('is that of one version, for a node that loads it', async () => {
    const rng = seededRng(15);
    let moved = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const { head, told } = await whileWriting(rng, () =>
        lab.store.loadState(async (head, pages) => ({ head, told: await collect(pages) })),
      );
      expect(told).toEqual(await stateAt(head.version));
      if (fence.version > head.version) moved++;
    }
    expect(moved).toBeGreaterThan(ROUNDS / 2);
  });

  it('is that of one version, for its digest, and no snapshot is held', async () => {
    const rng = seededRng(51);
    const entries = new EntriesStore(lab.pool({ role: 'holdfast_consistency' }), systemClock);
    for (let round = 0; round < ROUNDS; round++) {
      await whileWriting(rng, () =>
        entries.atHead(async (at) => {
          const digest = new StateDigest();
          for await (const page of at.pages()) {
            for (const entry of page) digest.add(bucketOf(entry.namespace, entry.key), entry);
            expect(await heldSnapshots()).toBe(0);
          }
          const right = new StateDigest();
          for (const [key, { version, checksum }] of Object.entries(await stateAt(at.pin.version))) {
            const entry = { namespace: 'app', key, version, checksum, contentType: 'text/plain' };
            right.add(bucketOf('app', key), entry);
          }
          expect(digest.root).toBe(right.root);
        }),
      );
    }
  });

  it('is refused when the database came to have another history', async () => {
    const reading = lab.store.loadState(async (_, pages) => {
      let first = true;
      for await (const _page of pages) {
        if (!first) continue;
        first = false;
        await lab.admin.query(
          `update config.head set chain = sha256('another'); update config.changes set chain = sha256('another')
           where version = (select version from config.head)`,
        );
      }
    });
    await expect(reading).rejects.toBeInstanceOf(HistoryReplaced);
  });
});
