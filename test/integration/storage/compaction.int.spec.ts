import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRng } from '#libs/kernel';
import { migrate, StatementRefused } from '#libs/postgres';
import type { BatchChange } from '../../../apps/config-node/src/domain/log.types.js';
import { removable } from '../../../apps/config-node/src/domain/retention.js';
import type { OldOperation } from '../../../apps/config-node/src/store/compaction.js';
import { ReferenceStore } from '../../../apps/consistency/src/reference/reference.store.js';
import { FailoverStore } from '../../../apps/failover/src/failover.store.js';
import { FAILOVER_MIGRATIONS } from '../../../apps/failover/src/migrations/index.js';
import { REGISTRY_MIGRATIONS } from '../../../apps/registry/src/migrations/index.js';
import { SyncStore } from '../../../apps/sync/src/sync.store.js';
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

beforeAll(async () => {
  lab = await openMigratedLab();
  await lead(lab, 'node-1');
  await commit('a');
  await commit('a b', 'r-2');
  await commit('other/x', 'r-3');
  await commit('a');
  await commit('-gone');
  await commit('b', 'r-6');
  await commit('a', 'r-7');
  await commit('other/x');
});
afterAll(() => lab.close());

/** Words are keys of `app`: `k` is put, `-k` deleted, `ns/k` is of another namespace. */
async function commit(words: string, requestId?: string): Promise<void> {
  const fence = fenceAt(await lab.store.readHead());
  const version = fence.version + 1;
  const operations = words.split(' ').map((word) => {
    const [key = '', namespace = 'app'] = word.replace('-', '').split('/').reverse();
    return word.startsWith('-')
      ? ({ op: 'delete', namespace, key } as const)
      : put(key, `${key}${version}`, namespace);
  });
  const batch: BatchChange[] = batchOf(fence, [{ operations, ...(requestId ? { requestId } : {}) }]);
  expect(await lab.store.commit(fence, batch)).not.toBe('fenced');
  after(fence, batch);
}

const old = (namespace: string, upTo: number) =>
  lab.store.compaction.slice({
    ...{ namespace, after: '', upTo, keys: 10, operationsPerKey: 10, maxVersions: 2 },
  });
const app = async (upTo: number): Promise<OldOperation[]> =>
  (await old('app', upTo)).flatMap(({ operations }) => operations);
const leader = async () => {
  const { term, leaderId, incarnation } = fenceAt(await lab.store.readHead());
  return { term, leaderId, incarnation };
};
const rows = async () => {
  const { rows: found } = await lab.admin.query<{ row: string }>(
    `select c.version || ' ' || coalesce(string_agg(o.key, ' ' order by o.ordinal), '') as row
     from config.changes as c left join config.change_ops as o using (version) group by c.version order by c.version`,
  );
  return found.map(({ row }) => row);
};

describe('old history', () => {
  it('is found key by key, with what superseded it and what stays by its number', async () => {
    expect(await lab.store.compaction.nextNamespace('')).toBe('app');
    expect(await lab.store.compaction.nextNamespace('app')).toBe('other');
    expect(await lab.store.compaction.nextNamespace('other')).toBeUndefined();
    const summary = (await old('app', 6)).map(({ key, keepFrom, operations }) => [
      ...[key, keepFrom],
      operations.map(({ version, supersededBy }) => [version, supersededBy]),
    ]);
    expect(summary).toEqual([
      [
        'a',
        4,
        [
          [1, 2],
          [2, 4],
        ],
      ],
      ['b', 2, [[2, 6]]],
      ['gone', null, [[5, null]]],
    ]);
    expect((await old('app', 1)).map(({ operations }) => operations.length)).toEqual([0, 0, 0]);
    const few = { namespace: 'app', after: 'a', keys: 1, operationsPerKey: 1, upTo: 9, maxVersions: null };
    expect(await lab.store.compaction.slice(few)).toMatchObject([{ key: 'b', keepFrom: null }]);
  });

  it('is cut off at an age by the database’s clock', async () => {
    await lab.admin.query(
      `update config.changes set created_at = now() - interval '3 hours' where version <= 5`,
    );
    const hours = (n: number) => lab.store.compaction.versionOfAge(n * 3_600_000, 8);
    expect(await Promise.all([hours(0), hours(2), hours(4)])).toEqual([8, 5, 0]);
  });

  it('cannot be removed by a deposed leader', async () => {
    const before = await rows();
    const deposed = { ...(await leader()), term: 0 };
    expect(await lab.store.compaction.remove(deposed, await app(6))).toBe('fenced');
    const { term, incarnation } = await leader();
    expect(await lab.store.compaction.remove({ term, leaderId: 'node-2', incarnation }, await app(6))).toBe(
      'fenced',
    );
    expect(await rows()).toEqual(before);
    expect(await lab.store.log.floor()).toBe(1);
  });

  it('stays where what superseded it is not there', async () => {
    const lost = (await app(6)).map((operation) =>
      operation.supersededBy === null ? operation : { ...operation, supersededBy: 99 },
    );
    const superseded = lost.filter(({ supersededBy }) => supersededBy !== null);
    expect(await lab.store.compaction.remove(await leader(), superseded)).toBe(0);
    expect(await lab.store.log.floor()).toBe(1);
  });

  it('goes with the changes that it empties, and the floor rises', async () => {
    expect(await lab.store.compaction.remove(await leader(), await app(6))).toBe(4);
    expect(await rows()).toEqual(['3 x', '4 a', '6 b', '7 a', '8 x']);
    expect(await lab.store.log.floor()).toBe(7);
    expect(await lab.store.log.floorOf('app')).toBe(7);
    expect(await lab.store.log.floorOf('other')).toBe(1);
    // Never lowered.
    expect(await lab.store.compaction.remove(await leader(), await app(6))).toBe(0);
    expect(await lab.store.log.floor()).toBe(7);
  });

  it('is compacted for whoever would replay it, and whole above', async () => {
    const { log } = lab.store;
    for (const from of [0, 1, 3, 5]) expect(await log.changesAfter(from, 10, 1_000)).toBe('compacted');
    const versions = (page: Awaited<ReturnType<typeof log.changesAfter>>) =>
      kept(page).map(({ version }) => version);
    expect(versions(await log.changesAfter(6, 10, 1_000))).toEqual([7, 8]);
    expect(versions(await log.changesAfter(8, 10, 1_000))).toEqual([]);
    expect(versions(await log.retainedAfter(0, 10, 1_000))).toEqual([7, 8]);
    expect(await log.retainedAfter(1, 10, 1_000)).toBe('compacted');
    expect(await log.changesIn('app', { after: 5, limit: 10 })).toBe('compacted');
    expect(versions(await log.changesIn('app', { after: 6, limit: 10 }))).toEqual([7]);
    expect(versions(await log.changesIn('other', { after: 0, limit: 10 }))).toEqual([3, 8]);
    const sync = new SyncStore(lab.pool({ role: 'holdfast_sync' }));
    expect(await sync.changesAfter(3, 10, 1_000)).toBe('compacted');
    expect(kept(await sync.changesAfter(6, 10, 1_000)).map(({ version }) => version)).toEqual([7, 8]);
  });

  it('is not guessed at: a past value is right, or compacted', async () => {
    const at = async (key: string, version: number, namespace = 'app') => {
      const value = await lab.store.log.valueAt(namespace, key, version);
      return typeof value === 'object' ? value.value.toString() : value;
    };
    expect(await Promise.all([1, 3, 4, 6, 7].map((version) => at('a', version)))).toEqual([
      ...['compacted', 'compacted', 'a4', 'a4', 'a7'],
    ]);
    expect(await Promise.all([2, 5, 6].map((version) => at('b', version)))).toEqual([
      ...['compacted', 'compacted', 'b6'],
    ]);
    expect(await Promise.all([4, 5, 6].map((version) => at('gone', version)))).toEqual([
      ...['compacted', 'compacted', undefined],
    ]);
    expect(await Promise.all([2, 3].map((version) => at('x', version, 'other')))).toEqual([undefined, 'x3']);
    const history = await lab.store.log.history('app', 'a', { limit: 10 });
    expect(history.map(({ version }) => version)).toEqual([7, 4]);
  });

  it('leaves the answers to repeated requests alone where their change is whole', async () => {
    const found = await lab.store.lookUpRequests(['r-2', 'r-3', 'r-6', 'r-7']);
    expect([...found.keys()].sort()).toEqual(['r-3', 'r-6', 'r-7']);
  });

  it('forgets the request of a change that is no longer whole', async () => {
    await commit('a other/x', 'mixed');
    const version = (await lab.store.readHead()).version;
    await commit('a');
    expect((await lab.store.lookUpRequests(['mixed'])).size).toBe(1);
    await lab.store.compaction.remove(await leader(), await app(version + 1));
    expect(await rows()).toContain(`${version} x`);
    expect((await lab.store.lookUpRequests(['mixed'])).size).toBe(0);
    await commit('b', 'mixed');
  });

  it('leaves the state as it is, and what it can be scrubbed by', async () => {
    const slice = await lab.store.entriesScrub.slice({ namespace: '', key: '' }, 100, 1_000_000);
    expect(slice).toMatchObject({ looked: 3, wrong: [] });
    await lab.admin.query(`insert into config.entries
      select namespace, 'young', value, content_type, checksum, (select max(floor) from config.log_floors), created_at
        from config.entries where key = 'a';
      insert into config.entries
      select namespace, 'ancient', value, content_type, checksum, 1, created_at from config.entries where key = 'a'`);
    const { wrong } = await lab.store.entriesScrub.slice({ namespace: '', key: '' }, 100, 1_000_000);
    // Of what is said to be older than the log it proves nothing.
    expect(wrong.map(({ key }) => key)).toEqual(['young']);
    await lab.admin.query(`delete from config.entries where key in ('young', 'ancient')`);
  });

  it('is unknown to the consistency check below the floor, and nothing else is', async () => {
    const store = new ReferenceStore(lab.pool({ role: 'holdfast_consistency' }));
    const floor = await lab.store.log.floor();
    const keys = ['a', 'gone', 'x'].map((key) => ({ namespace: key === 'x' ? 'other' : 'app', key }));
    const { version, chain } = await lab.store.readHead();
    const states = async (pin: { version: number; chain: string }, asked = keys) =>
      [...((await store.truths(pin, asked)) ?? []).values()]
        .sort((a, b) => a.key.localeCompare(b.key))
        .map(({ truth }) => truth.state);
    expect(version).toBeGreaterThanOrEqual(floor - 1);
    expect(await states({ version, chain })).toEqual(['present', 'absent', 'present']);
    // Version 3 still stands there, for the other namespace's sake.
    const below = { version: 3, chain: chainOf(3) };
    expect(await states(below)).toEqual(['unknown', 'unknown', 'present']);
    expect(await states(below, [{ namespace: 'never', key: 'k' }])).toEqual(['absent']);
  });
});

it('where the nodes stand is read from the registry, or cannot be', async () => {
  await expect(lab.store.compaction.positions()).rejects.toBeInstanceOf(StatementRefused);
  await migrate(lab.pool({ role: 'holdfast_registry' }), 'registry', REGISTRY_MIGRATIONS);
  expect((await lab.store.compaction.positions()).positions).toEqual([]);
  const node = (
    id: string,
    kind: string,
    seen: string,
    left: string,
  ) => `('${id}', '${kind}', 'voter', null, 1,
    'healthy', null, 1, 42, 1, ${seen}, now(), '{}', ${left})`;
  await lab.admin.query(`insert into registry.nodes (node_id, kind, role, address, incarnation, status, reason, status_seq,
    version, term, last_heartbeat_at, registered_at, metadata, left_at) values
    ${node('here', 'config-node', 'now()', 'null')}, ${node('left', 'config-node', 'now()', 'now()')},
    ${node('silent', 'config-node', 'null', 'null')}, ${node('gateway', 'gateway', 'now()', 'null')}`);
  const { nowMs, positions } = await lab.store.compaction.positions();
  expect(positions).toMatchObject([{ nodeId: 'here', version: 42 }]);
  expect(Math.abs(nowMs - (positions[0]?.seenAtMs ?? 0))).toBeLessThan(10_000);
});

it('an election’s first write is told while it is kept, and no later one in its place', async () => {
  await migrate(lab.pool({ role: 'holdfast_failover' }), 'failover', FAILOVER_MIGRATIONS);
  const elected = async (version: number) => {
    const { term, leaderId } = await lab.store.readHead();
    await lab.admin.query(
      `insert into failover.elections (term, leader_id, leader_address, incarnation, version, reason, evidence, elected_by,
         elected_at, detect_ms, elect_ms) values ($1, $2, 'http://n', 1, $3, 'first', '{}', 'f-1', now(), 1, 1)`,
      [term, leaderId, version],
    );
  };
  await elected(0);
  const { version } = await lab.store.readHead();
  await lead(lab, 'node-2');
  await elected(version);
  await commit('a');
  await commit('a');
  const elections = await new FailoverStore(lab.pool({ role: 'holdfast_failover' })).elections(2);
  expect(elections.map(({ firstWriteAt }) => firstWriteAt === null)).toEqual([false, true]);
});

interface Written {
  version: number;
  key: string;
  value: string | undefined;
}

it('whatever was written and removed: what is left is right, and whole from the floor on', async () => {
  const rng = seededRng(20_261_126);
  const namespace = 'random';
  const keys = ['a', 'b', 'c', 'd', 'e'];
  const written: Written[] = [];
  const first = (await lab.store.readHead()).version + 1;
  for (let batch = 0; batch < 40; batch++) {
    const fence = fenceAt(await lab.store.readHead());
    const changes = Array.from({ length: 1 + rng.int(6) }, (_, i) => {
      const version = fence.version + 1 + i;
      const operations = keys
        .filter(() => rng.int(3) === 0)
        .map((key) => (rng.int(3) === 0 ? removal(key) : put(key, `${key}${version}`, namespace)));
      for (const { key, op } of operations) {
        written.push({ version, key, value: op === 'put' ? `${key}${version}` : undefined });
      }
      return { operations };
    });
    await lab.store.commit(fence, batchOf(fence, changes));
    if (batch % 4 === 3) await removeSome(fence.version);
  }
  const head = (await lab.store.readHead()).version;
  const floor = await lab.store.log.floorOf(namespace);
  expect(floor).toBeGreaterThan(first);
  const { rows } = await lab.admin.query<{ n: number }>(
    'select count(*)::int as n from config.change_ops where namespace = $1',
    [namespace],
  );
  expect(rows[0]?.n).toBeLessThan(written.length);
  const after = kept(await lab.store.log.changesIn(namespace, { after: floor - 1, limit: 1_000 }));
  expect(
    after.flatMap(({ version, operations }) => operations.map(({ key }) => `${version} ${key}`)),
  ).toEqual(written.filter(({ version }) => version >= floor).map(({ version, key }) => `${version} ${key}`));
  for (let version = first; version <= head; version++) {
    for (const key of keys) {
      const found = await lab.store.log.valueAt(namespace, key, version);
      if (found === 'compacted') expect(version, key).toBeLessThan(floor - 1);
      else expect(found?.value.toString(), `${key} at ${version}`).toBe(stoodAt(key, version));
    }
  }
  expect((await lab.store.entriesScrub.slice({ namespace: '', key: '' }, 100, 1_000_000)).wrong).toEqual([]);

  function removal(key: string) {
    return { op: 'delete', namespace, key } as const;
  }

  function stoodAt(key: string, version: number): string | undefined {
    return written.filter((one) => one.key === key && one.version <= version).at(-1)?.value;
  }

  async function removeSome(version: number): Promise<void> {
    const upTo = version - rng.int(20);
    const maxVersions = rng.int(2) === 0 ? null : 1 + rng.int(4);
    const agedVersion = maxVersions === null || rng.int(2) === 0 ? upTo - rng.int(10) : null;
    const slice = { namespace, after: '', upTo, keys: 10, operationsPerKey: 1 + rng.int(4), maxVersions };
    for (const { operations, keepFrom } of await lab.store.compaction.slice(slice)) {
      const old = removable(operations, { upTo, agedVersion, keepFrom });
      await lab.store.compaction.remove(await leader(), old.slice(0, 1 + rng.int(4)));
    }
  }
});
