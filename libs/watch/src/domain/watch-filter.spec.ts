import { describe, expect, it } from 'vitest';
import type { Change, Operation } from '#libs/contracts';
import { concerns, matchingOperations, watchFilter } from './watch-filter.js';

const del = (namespace: string, key: string): Operation => ({ op: 'delete', namespace, key });

function change(...operations: Operation[]): Change {
  return {
    version: 1,
    term: 1,
    chain: '',
    kind: 'change',
    author: null,
    comment: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    operations,
  };
}

describe('watchFilter', () => {
  it('drops parts that another part covers', () => {
    const filter = watchFilter([
      { namespace: 'b', prefix: 'x/' },
      { namespace: 'a', prefix: 'db/primary' },
      { namespace: 'a', prefix: 'db/' },
      { namespace: 'a', prefix: 'db/' },
      { namespace: 'a', prefix: 'web' },
    ]);
    expect(filter.parts).toEqual([
      { namespace: 'a', prefix: 'db/' },
      { namespace: 'a', prefix: 'web' },
      { namespace: 'b', prefix: 'x/' },
    ]);
  });

  it('has one id for one meaning, and no two meanings with one id', () => {
    const id = (...parts: [string, string][]) =>
      watchFilter(parts.map(([namespace, prefix]) => ({ namespace, prefix }))).id;
    expect(id(['a', 'x'], ['b', 'y'])).toBe(id(['b', 'y'], ['a', 'x'], ['a', 'x/1']));
    expect(id(['a', 'x'])).not.toBe(id(['a', 'x","y']));
  });

  it('gives only the operations asked for, in their order', () => {
    const filter = watchFilter([{ namespace: 'a', prefix: 'db/' }]);
    const set = change(del('a', 'db/z'), del('b', 'db/a'), del('a', 'web'), del('a', 'db/a'));
    expect(matchingOperations(filter, set).operations).toEqual([del('a', 'db/z'), del('a', 'db/a')]);
    expect(concerns(filter, set)).toBe(true);
    expect(concerns(filter, change(del('a', 'web')))).toBe(false);
  });

  it('takes an empty prefix as the whole namespace, not those below it', () => {
    const filter = watchFilter([{ namespace: 'a', prefix: '' }]);
    expect(concerns(filter, change(del('a', 'anything')))).toBe(true);
    expect(concerns(filter, change(del('a.b', 'anything')))).toBe(false);
  });
});
