import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fence, StoredEntry } from '../../../apps/config-node/src/domain/log.types.js';
import { CHANGES_OF_NAMESPACES } from '../../../apps/config-node/src/store/sql/log-page.sql.js';
import { after, batchOf, kept, type LeaderLab, lead, openMigratedLab, put } from './storage-lab.js';

let lab: LeaderLab;
let fence: Fence;

beforeAll(async () => {
  lab = await openMigratedLab();
  fence = await lead(lab, 'node-1');
});
afterAll(() => lab.close());

async function commit(changes: Parameters<typeof batchOf>[1]): Promise<void> {
  const batch = batchOf(fence, changes);
  if ((await lab.store.commit(fence, batch)) === 'fenced') throw new Error('fenced');
  fence = after(fence, batch);
}

const remove = (key: string, namespace = 'app') => ({ op: 'delete', namespace, key }) as const;

async function state(): Promise<{ version: number; entries: StoredEntry[] }> {
  return lab.store.loadState(async (head, pages) => {
    const entries: StoredEntry[] = [];
    for await (const page of pages) entries.push(...page);
    return { version: head.version, entries };
  });
}

describe('the log', () => {
  it('is empty at first', async () => {
    expect(await lab.store.log.floor()).toBe(1);
    expect(await lab.store.log.changesAfter(0, 10, 1_000)).toEqual([]);
    expect(await state()).toEqual({ version: 0, entries: [] });
  });

  it('is read in pages bounded by count and by bytes, each with at least one change', async () => {
    await commit(Array.from({ length: 20 }, (_, i) => ({ operations: [put(`k${i}`, 'x'.repeat(10_000))] })));
    expect(await lab.store.log.floor()).toBe(1);
    const versions = async (after: number, limit: number, bytes: number) =>
      kept(await lab.store.log.changesAfter(after, limit, bytes)).map((change) => change.version);
    expect(await versions(0, 3, 1_000_000)).toEqual([1, 2, 3]);
    expect(await versions(17, 100, 1_000_000)).toEqual([18, 19, 20]);
    expect(await versions(0, 100, 35_000)).toEqual([1, 2, 3]);
    expect(await versions(5, 100, 1)).toEqual([6]);
    expect(await versions(20, 100, 1)).toEqual([]);
  });

  it('is read for one namespace with that namespace only', async () => {
    const from = fence.version;
    await commit([
      { operations: [put('a', '1', 'one'), put('a', '1', 'two')] },
      { operations: [put('b', '1', 'two')] },
      { operations: [remove('a', 'one')] },
    ]);
    const page = kept(await lab.store.log.changesIn('one', { after: from, limit: 10 }));
    expect(
      page.map((c) => [c.version - from, c.operations.map((o) => `${o.op} ${o.namespace}/${o.key}`)]),
    ).toEqual([
      [1, ['put one/a']],
      [3, ['delete one/a']],
    ]);
    expect(await lab.store.log.changesIn('two', { after: from, limit: 1 })).toHaveLength(1);
    expect(await lab.store.log.changesAfter(from, 10, 1_000_000)).toHaveLength(3);
  });

  it('is read for several namespaces, with how far the page is complete', async () => {
    const from = fence.version;
    await commit([
      { operations: [put('c', '1', 'one')] },
      { operations: [put('c', '1', 'two')] },
      { operations: [put('c', '1', 'three')] },
      { operations: [put('d', '1', 'one')] },
      { operations: [put('d', '1', 'three')] },
    ]);
    const read = async (namespaces: string[], after: number, limit: number, maxBytes?: number) => {
      const page = kept(
        await lab.store.log.touching(namespaces, { after, limit, ...(maxBytes && { maxBytes }) }),
      );
      return [page.changes.map((change) => change.version - from), page.through - from];
    };
    expect(await read(['one', 'two'], from, 10)).toEqual([[1, 2, 4], 5]);
    expect(await read(['one', 'two'], from, 2)).toEqual([[1, 2], 2]);
    expect(await read(['one', 'two'], from, 10, 1)).toEqual([[1], 1]);
    expect(await read(['one'], from + 4, 10)).toEqual([[], 5]);
    expect(await read(['nowhere'], from, 10)).toEqual([[], 5]);
    expect(await read([], from + 9, 10)).toEqual([[], 9]);
  });

  it('tells the history of a key, newest first, and its value at each version', async () => {
    const from = fence.version;
    await commit([
      { operations: [put('h', 'one')], author: 'ann', comment: 'first' },
      { operations: [put('other', 'x')] },
      { operations: [remove('h')] },
      { operations: [put('h', 'three')] },
    ]);
    const history = await lab.store.log.history('app', 'h', { limit: 10 });
    expect(history.map((item) => [item.version - from, item.op, item.sizeBytes, item.author])).toEqual([
      [4, 'put', 5, null],
      [3, 'delete', 0, null],
      [1, 'put', 3, 'ann'],
    ]);
    expect(history[2]).toMatchObject({
      comment: 'first',
      contentType: 'text/plain',
      checksum: put('h', 'one').checksum,
    });
    expect(await lab.store.log.history('app', 'h', { limit: 1, before: from + 3 })).toMatchObject([
      { version: from + 1 },
    ]);
    const valueAt = async (v: number) =>
      kept(await lab.store.log.valueAt('app', 'h', from + v))?.value.toString();
    expect(await Promise.all([0, 1, 2, 3, 4, 99].map(valueAt))).toEqual([
      undefined,
      'one',
      'one',
      undefined,
      'three',
      'three',
    ]);
    expect(await lab.store.log.valueAt('app', 'h', from + 2)).toMatchObject({
      version: from + 1,
      checksum: put('h', 'one').checksum,
    });
  });
});

describe('finding 14: the log of one namespace', () => {
  it('costs what its page holds, not what others published before', async () => {
    await lab.admin.query(`insert into config.changes (version, term, chain, kind, bytes, created_at)
      select v, 1, '\\x00'::bytea || decode(repeat('00', 31), 'hex'), 'change', 200, now()
      from generate_series(1000001, 1030000) as v`);
    await lab.admin.query(`insert into config.change_ops
        (version, ordinal, namespace, key, op, value, content_type, checksum, created)
      select v, 0, case when v > 1027000 then 'late' else 'busy' end, 'k', 'put', '\\x61', 'text/plain', '\\x00', false
      from generate_series(1000001, 1030000) as v`);
    try {
      await lab.admin.query('analyze config.change_ops, config.changes');
      const { rows } = await lab.admin.query({
        text: `explain (analyze, buffers, format json) ${CHANGES_OF_NAMESPACES}`,
        values: [fence.version, 100, 4_000_000, ['late'], true],
      });
      const { Plan: plan } = rows[0]['QUERY PLAN'][0];
      expect(plan['Actual Rows']).toBe(100);
      // The rows of the others would be 27,000 and more.
      expect(plan['Shared Hit Blocks'] + plan['Shared Read Blocks']).toBeLessThan(4_000);
    } finally {
      await lab.admin.query('delete from config.change_ops where version > 1000000');
      await lab.admin.query('delete from config.changes where version > 1000000');
    }
  });
});

describe('loadState', () => {
  it('shows one moment, in UTF-8 order, while writes go on', async () => {
    const keys = Array.from({ length: 3_000 }, (_, i) => `many/${i}`);
    await commit([
      { operations: [put('\u{1F600}', 'x', 'order'), put('\uFFFD', 'x', 'order'), put('z', 'x', 'order')] },
    ]);
    for (let i = 0; i < keys.length; i += 1_000) {
      await commit([{ operations: keys.slice(i, i + 1_000).map((key) => put(key, '0')) }]);
    }
    const seen = await lab.store.loadState(async (head, pages) => {
      const entries: StoredEntry[] = [];
      let count = 0;
      for await (const page of pages) {
        entries.push(...page);
        count++;
        await commit([
          { operations: [put('many/2999', 'later'), remove('many/2998'), put(`new/${count}`, 'x')] },
        ]);
      }
      expect(count).toBeGreaterThan(1);
      return { version: head.version, entries };
    });
    expect(Math.max(...seen.entries.map((entry) => entry.version))).toBe(seen.version);
    const byKey = new Map(seen.entries.map((entry) => [`${entry.namespace}/${entry.key}`, entry]));
    expect(byKey.get('app/many/2999')?.value.toString()).toBe('0');
    expect(byKey.has('app/many/2998')).toBe(true);
    expect([...byKey.keys()].filter((key) => key.startsWith('app/new/'))).toEqual([]);
    const order = seen.entries.filter((entry) => entry.namespace === 'order').map((entry) => entry.key);
    expect(order).toEqual(['z', '\uFFFD', '\u{1F600}']);
    // What was read in pages is what a reader of everything sees.
    const { rows } = await lab.admin.query(
      'select count(*)::int as n from config.entries where version <= $1',
      [seen.version],
    );
    expect(rows[0].n).toBeLessThanOrEqual(seen.entries.length);
    expect((await state()).version).toBe(fence.version);
  });

  it('cuts pages by bytes too', async () => {
    await commit([1, 2, 3, 4].map((i) => ({ operations: [put(`large/${i}`, Buffer.alloc(1_000_000))] })));
    await commit([5, 6, 7, 8].map((i) => ({ operations: [put(`large/${i}`, Buffer.alloc(1_000_000))] })));
    await commit([9, 10, 11, 12].map((i) => ({ operations: [put(`large/${i}`, Buffer.alloc(1_000_000))] })));
    const sizes = await lab.store.loadState(async (_, pages) => {
      const bytes: number[] = [];
      for await (const page of pages) bytes.push(page.reduce((sum, entry) => sum + entry.value.length, 0));
      return bytes;
    });
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2 * 1024 * 1024);
  });
});
