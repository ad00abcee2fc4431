import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isDataError } from '#libs/postgres';
import type { BatchChange, Fence } from '../../../apps/config-node/src/domain/log.types.js';
import {
  after,
  batchOf,
  chainOf,
  fenceAt,
  kept,
  type LeaderLab,
  lead,
  openMigratedLab,
  put,
} from './storage-lab.js';

let lab: LeaderLab;
let fence: Fence;

beforeAll(async () => {
  lab = await openMigratedLab();
});
afterAll(() => lab.close());
beforeEach(async () => {
  fence = await lead(lab, 'node-1');
});

/** Everything that a commit can change. */
async function everything(): Promise<unknown> {
  const { rows } = await lab.admin.query(`select
    (select to_jsonb(h) from config.head h) as head,
    (select count(*)::int from config.changes) as changes,
    (select count(*)::int from config.change_ops) as ops,
    (select jsonb_object_agg(namespace || '/' || key, version) from config.entries) as entries`);
  return rows[0];
}

async function commit(batch: readonly BatchChange[]): Promise<string> {
  const result = await lab.store.commit(fence, batch);
  if (result === 'fenced') throw new Error('fenced');
  fence = after(fence, batch);
  return result.createdAt;
}

describe('commit', () => {
  it('stores changes, their operations, and head', async () => {
    const from = fence;
    const batch = batchOf(fence, [
      { operations: [put('a', '1'), put('b', 'x')], author: 'Ünï \u{1F600}', comment: '{"quoted",\\' },
      { operations: [{ op: 'delete', namespace: 'app', key: 'a' }, put('c', Buffer.from([0, 255, 39, 92]))] },
      { operations: [put('{d},"NULL"', ''), put('NULL', 'x')], author: 'NULL', comment: '' },
    ]);
    const createdAt = await commit(batch);
    expect(createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(await lab.store.log.changesAfter(from.version, 100, 1_000_000)).toEqual(
      batch.map(({ change }) => ({ ...change, createdAt })),
    );
    expect(fenceAt(await lab.store.readHead())).toEqual(fence);
  });

  it('lets the last operation of a key win, over puts and deletes together', async () => {
    const remove = (key: string) => ({ op: 'delete', namespace: 'last', key }) as const;
    await commit(batchOf(fence, [{ operations: [put('kept', '0', 'last'), put('gone', '0', 'last')] }]));
    const { version } = fence;
    await commit(
      batchOf(fence, [
        { operations: [put('kept', '1', 'last'), remove('gone'), put('brief', '1', 'last')] },
        { operations: [remove('kept'), put('gone', '2', 'last')] },
        { operations: [put('kept', '3', 'last'), remove('gone'), remove('brief')] },
      ]),
    );
    const { rows } = await lab.admin.query(
      "select key, encode(value, 'escape') as value, version::int from config.entries where namespace = 'last'",
    );
    expect(rows).toEqual([{ key: 'kept', value: '3', version: version + 3 }]);
    const logged = kept(await lab.store.log.changesAfter(version, 10, 1_000_000));
    expect(logged.flatMap((change) => change.operations)).toHaveLength(8);
  });

  it('has one time for the batch, not before that of the batch before', async () => {
    const first = await commit(
      batchOf(fence, [{ operations: [put('t', '1')] }, { operations: [put('t', '2')] }]),
    );
    const second = await commit(batchOf(fence, [{ operations: [put('t', '3')] }]));
    expect(second >= first).toBe(true);
    const changes = kept(await lab.store.log.changesAfter(fence.version - 3, 10, 1_000_000));
    expect(changes.map((change) => change.createdAt)).toEqual([first, first, second]);
  });

  it('stores a lost tail as one change that leaves numbers out', async () => {
    const version = fence.version + 5;
    const lost = { from: fence.version + 1, to: version };
    await commit(batchOf(fence, [{ version, chain: chainOf(version), kind: 'lost', lost, operations: [] }]));
    expect(await lab.store.log.changesAfter(version - 1, 1, 1)).toMatchObject([
      { version, kind: 'lost', lost, operations: [] },
    ]);
    expect((await lab.store.readHead()).version).toBe(version);
  });

  it.each([
    ['term', { term: 0 }],
    ['leader', { leaderId: 'node-2' }],
    ['incarnation', { incarnation: 2 }],
    ['attempt', { attempt: 7 }],
    ['version', { version: 0 }],
    ['chain', { chain: chainOf(-1) }],
  ])('changes nothing when the %s is not that of head', async (_, wrong) => {
    await commit(batchOf(fence, [{ operations: [put('a', 'before')] }]));
    const before = await everything();
    const stale = { ...fence, ...wrong };
    const batch = batchOf(stale, [{ operations: [put('a', 'stale'), put('stale', 'x')] }]);
    expect(await lab.store.commit(stale, batch)).toBe('fenced');
    expect(await lab.store.confirmFence(stale)).toBe(false);
    expect(await everything()).toEqual(before);
    expect(await lab.store.confirmFence(fence)).toBe(true);
  });

  it('refuses a whole batch for one request id that was used before, or twice', async () => {
    await commit(batchOf(fence, [{ operations: [put('a', '1')], requestId: 'used' }]));
    const before = await everything();
    for (const ids of [
      ['fresh', 'used'],
      ['twice', 'twice'],
    ]) {
      const batch = batchOf(
        fence,
        ids.map((requestId) => ({ operations: [put('a', '2')], requestId })),
      );
      await expect(lab.store.commit(fence, batch)).rejects.toMatchObject({
        name: 'DataError',
        sqlState: '23505',
      });
    }
    expect(await everything()).toEqual(before);
  });

  it.each([
    ['a comment', { comment: 'nul \0 nul' }],
    ['an author', { author: '\0' }],
    ['a key', { operations: [put('a\0b', 'x')] }],
  ])('calls U+0000 in %s a data error, and the rest of the batch goes through in halves', async (_, bad) => {
    const good = Array.from({ length: 50 }, (__, i) => ({ operations: [put(`good/${i}`, 'x')] }));
    const before = await everything();
    const all = batchOf(fence, good.with(17, { operations: [put('bad', 'x')], ...bad }));
    const error = await lab.store.commit(fence, all).catch((e: unknown) => e);
    expect(isDataError(error)).toBe(true);
    expect(await everything()).toEqual(before);
    await commit(all.slice(0, 17));
    await commit(batchOf(fence, good.slice(18)));
    expect(lab.store.available()).toBe(true);
  });

  it('refuses text that UTF-8 cannot hold instead of storing other text', async () => {
    const before = await everything();
    for (const bad of [
      { comment: 'lone \ud800' },
      { author: '\udc00' },
      { operations: [put('k\ud800', 'x')] },
    ]) {
      const error = await lab.store
        .commit(fence, batchOf(fence, [{ operations: [], ...bad }]))
        .catch((e: unknown) => e);
      expect(isDataError(error)).toBe(true);
    }
    expect(await everything()).toEqual(before);
  });

  it('stores the largest batch: 4 MiB, and 1,000 operations in one change', async () => {
    const large = Buffer.alloc(1024 * 1024, 0xfe);
    await commit(
      batchOf(
        fence,
        [1, 2, 3, 4].map((i) => ({ operations: [put(`large/${i}`, large)] })),
      ),
    );
    const many = Array.from({ length: 1_000 }, (_, i) => put(`many/${i}`, 'x'.repeat(4_000)));
    await commit(batchOf(fence, [{ operations: many }]));
    const [stored] = kept(await lab.store.log.changesAfter(fence.version - 1, 1, 1));
    expect(stored?.operations).toEqual(many);
    expect(kept(await lab.store.log.valueAt('app', 'large/3', fence.version))?.value.equals(large)).toBe(
      true,
    );
  });
});

describe('requests', () => {
  it('finds what an idempotency key led to, operations and created flags included', async () => {
    const requestHash = Buffer.alloc(32, 7);
    const batch = batchOf(fence, [
      {
        operations: [put('r1', '1'), { op: 'delete', namespace: 'app', key: 'r0' }],
        requestId: 'id "1",{}',
        requestHash,
      },
      { operations: [put('r2', '1')] },
      { operations: [put('r3', '1')], requestId: 'id-3' },
    ]);
    const createdAt = await commit(batch);
    const found = await lab.store.lookUpRequests(['id "1",{}', 'absent', 'id-3']);
    expect([...found.keys()].sort()).toEqual(['id "1",{}', 'id-3']);
    const { value: _, ...stored } = put('r1', '1');
    expect(found.get('id "1",{}')).toEqual({
      requestHash,
      requestKind: 'change-set',
      change: {
        ...batch[0]?.change,
        createdAt,
        operations: [stored, { op: 'delete', namespace: 'app', key: 'r0' }],
      },
      created: [true, false],
    });
    expect(await lab.store.lookUpRequests([])).toEqual(new Map());
  });

  it('kills every statement of an earlier attempt by bumping it, for the leader only', async () => {
    const stale = fence;
    const bumped = await lab.store.bumpAttempt(fence);
    expect(bumped).toMatchObject({ attempt: fence.attempt + 1, version: fence.version, chain: fence.chain });
    expect(await lab.store.commit(stale, batchOf(stale, [{ operations: [put('a', '1')] }]))).toBe('fenced');
    expect(await lab.store.bumpAttempt({ ...fence, leaderId: 'node-2' })).toBeUndefined();
    expect(await lab.store.bumpAttempt({ ...fence, incarnation: 9 })).toBeUndefined();
    fence = { ...fence, attempt: fence.attempt + 1 };
    await commit(batchOf(fence, [{ operations: [put('a', '1')] }]));
  });
});

describe('barrier', () => {
  it('answers with the head, and does not wait for a batch', async () => {
    const holder = await lab.client();
    await holder.query('begin; select from config.head for update');
    const heads = await Promise.all(Array.from({ length: 8 }, () => lab.store.barrier()));
    await holder.query('rollback');
    expect(heads.map(fenceAt)).toEqual(Array.from({ length: 8 }, () => fence));
  });

  it('is a write: it writes to the log of the database each time', async () => {
    const lsn = async () => (await lab.admin.query('select pg_current_wal_lsn()::text as lsn')).rows[0].lsn;
    const before = await lsn();
    await lab.store.barrier();
    expect(await lsn()).not.toBe(before);
  });
});
