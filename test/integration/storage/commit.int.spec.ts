import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  after,
  batchOf,
  chainOf,
  fenceAt,
  type LeaderLab,
  lead,
  openMigratedLab,
  put,
} from './storage-lab.js';

let lab: LeaderLab;

beforeAll(async () => {
  lab = await openMigratedLab();
});
afterAll(() => lab.close());

describe('commit', () => {
  it('starts with version 0 and a cluster id', async () => {
    expect(await lab.store.readHead()).toMatchObject({
      clusterId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      version: 0,
      chain: '0'.repeat(64),
      term: 0,
      leaderId: null,
    });
  });

  it('stores changes, operations and the last operation of each key', async () => {
    const fence = await lead(lab, 'node-1');
    const batch = batchOf(fence, [
      { operations: [put('a', '1'), put('b', 'x')], author: 'Ünï', comment: '{"quoted",\\' },
      { operations: [{ op: 'delete', namespace: 'app', key: 'a' }, put('c', Buffer.from([0, 255, 39, 92]))] },
      { operations: [put('a', '2'), { op: 'delete', namespace: 'app', key: 'b' }] },
      { operations: [put('d', '')] },
    ]);
    const result = await lab.store.commit(fence, batch);
    expect(result).toMatchObject({
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
    const changes = await lab.store.changesAfter(fence.version, 100, 1_000_000);
    const createdAt = typeof result === 'object' ? result.createdAt : '';
    expect(changes).toEqual(batch.map(({ change }) => ({ ...change, createdAt })));
    expect(fenceAt(await lab.store.readHead())).toEqual(after(fence, batch));
    const state = await lab.store.loadState(async (head, pages) => {
      const entries = [];
      for await (const page of pages) entries.push(...page);
      return { head, entries };
    });
    expect(state.head.version).toBe(fence.version + 4);
    expect(state.entries.map((e) => [e.key, e.value.toString('latin1'), e.version, e.updatedAt])).toEqual([
      ['a', '2', fence.version + 3, createdAt],
      ['c', '\x00\xff\x27\x5c', fence.version + 2, createdAt],
      ['d', '', fence.version + 4, createdAt],
    ]);
    expect(chainOf(1)).not.toBe(chainOf(2));
  });
});
