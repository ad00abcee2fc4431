import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change, Operation } from '#libs/contracts';
import { compareUtf8 } from '#libs/kernel';
import { chainAfter, checksumOf, GENESIS_CHAIN } from './chain.js';
import { Replica, StateBuilder } from './replica.js';

interface Drawn {
  namespace: string;
  key: string;
  value: Uint8Array | null;
}

const drawnHistory = fc.array(
  fc.uniqueArray(
    fc.record({
      namespace: fc.constantFrom('app', 'app.web', 'zone'),
      key: fc.constantFrom('a', 'a/b', 'a/c', 'b', 'é', '\uffee', '\u{1F600}', 'z'),
      value: fc.option(fc.uint8Array({ maxLength: 12 }), { freq: 3 }),
    }),
    { minLength: 1, maxLength: 4, selector: (drawn) => `${drawn.namespace}\n${drawn.key}` },
  ),
  { maxLength: 30 },
);

function toOperation({ namespace, key, value }: Drawn): Operation {
  if (value === null) return { op: 'delete', namespace, key };
  const bytes = Buffer.from(value);
  return { op: 'put', namespace, key, value: bytes, contentType: 'text/plain', checksum: checksumOf(bytes) };
}

function toChanges(history: readonly Drawn[][]): Change[] {
  const changes: Change[] = [];
  for (const set of history) {
    const version = changes.length + 1;
    const content = {
      version,
      term: 1 + Math.floor(version / 10),
      kind: 'change' as const,
      author: null,
      comment: `change ${version}`,
      operations: set.map(toOperation),
    };
    const chain = chainAfter(changes.at(-1)?.chain ?? GENESIS_CHAIN, content);
    changes.push({ ...content, chain, createdAt: new Date(version).toISOString() });
  }
  return changes;
}

/** The state at every version, the plain way. */
function models(changes: readonly Change[]): Map<string, string>[] {
  const states = [new Map<string, string>()];
  for (const change of changes) {
    const state = new Map(states.at(-1));
    for (const operation of change.operations) {
      const id = `${operation.namespace}\n${operation.key}`;
      if (operation.op === 'put') state.set(id, `${change.version}:${operation.value.toString('hex')}`);
      else state.delete(id);
    }
    states.push(state);
  }
  return states;
}

function stateOf(replica: Replica, atVersion?: number): Map<string, string> | 'expired' {
  const state = new Map<string, string>();
  for (const namespace of ['app', 'app.web', 'zone']) {
    for (let after: string | undefined; ; ) {
      const page = replica.list({ namespace, prefix: '', after, limit: 3, maxBytes: 30, atVersion });
      if (page === 'expired') return 'expired';
      for (const entry of page.entries) {
        state.set(`${namespace}\n${entry.key}`, `${entry.version}:${entry.value.toString('hex')}`);
      }
      if (!page.more) break;
      after = page.entries.at(-1)?.key;
    }
  }
  return state;
}

describe('Replica', () => {
  it('equals the model after any history, now and at every version of its window', {
    timeout: 60_000,
  }, () => {
    const bounds = fc.record({ versions: fc.integer({ min: 1, max: 20 }), bytes: fc.constant(1_000_000) });
    fc.assert(
      fc.property(drawnHistory, bounds, (history, window) => {
        const replica = new Replica(window);
        const changes = toChanges(history);
        for (const change of changes) expect(replica.apply(change)).toBe('applied');
        const states = models(changes);
        expect(stateOf(replica)).toEqual(states.at(-1));
        states.forEach((state, version) => {
          const answered = stateOf(replica, version);
          if (version < changes.length - window.versions) expect(answered).toBe('expired');
          else expect(answered).toEqual(state);
        });
        expect(replica.windowFloor).toBe(Math.max(0, changes.length - window.versions));
        const live = [...(states.at(-1) ?? [])].map(([id]) => id.split('\n')[0]);
        expect(replica.namespaces()).toEqual(
          [...new Set(live)].sort().map((name) => ({ name, keys: live.filter((n) => n === name).length })),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it('lists in the order of UTF-8 bytes, by prefix', () => {
    const replica = new Replica();
    const keys = ['\u{1F600}', '\uffee', 'a/b', 'a', 'b', 'a/', 'a0'];
    for (const change of toChanges(keys.map((key) => [{ namespace: 'app', key, value: Buffer.from('v') }]))) {
      replica.apply(change);
    }
    const list = (prefix: string, after?: string) => {
      const page = replica.list({ namespace: 'app', prefix, after, limit: 10, maxBytes: 1e6 });
      return page === 'expired' ? page : page.entries.map((entry) => entry.key);
    };
    expect(list('')).toEqual([...keys].sort(compareUtf8));
    expect(list('a/')).toEqual(['a/', 'a/b']);
    expect(list('a/', 'a/')).toEqual(['a/b']);
    expect(list('b', 'a')).toEqual(['b']);
    expect(list('c')).toEqual([]);
  });

  it('ends a page at its limit and at its bytes, and always holds one entry', () => {
    const replica = new Replica();
    const value = Buffer.alloc(10);
    for (const change of toChanges(['a', 'b', 'c'].map((key) => [{ namespace: 'app', key, value }]))) {
      replica.apply(change);
    }
    const size = (limit: number, maxBytes: number) => {
      const page = replica.list({ namespace: 'app', prefix: '', limit, maxBytes });
      return page === 'expired' ? page : [page.entries.length, page.more];
    };
    expect(size(3, 1_000)).toEqual([3, false]);
    expect(size(2, 1_000)).toEqual([2, true]);
    expect(size(3, 20)).toEqual([2, true]);
    expect(size(3, 1)).toEqual([1, true]);
  });

  it('gives the changes after a version, or says that they are compacted', () => {
    const replica = new Replica({ versions: 4, bytes: 1_000_000 });
    const value = Buffer.from('v');
    for (const change of toChanges(
      Array.from({ length: 10 }, () => [{ namespace: 'app', key: 'k', value }]),
    )) {
      replica.apply(change);
    }
    const versions = (after: number, limit: number, maxBytes?: number) => {
      const changes = replica.changesAfter(after, limit, maxBytes);
      return changes === 'compacted' ? changes : changes.map((change) => change.version);
    };
    expect(versions(5, 10)).toBe('compacted');
    expect(versions(6, 10)).toEqual([7, 8, 9, 10]);
    expect(versions(7, 2)).toEqual([8, 9]);
    expect(versions(7, 3, 1)).toEqual([8]);
    expect(versions(10, 10)).toEqual([]);
  });

  describe('refuses', () => {
    const changes = toChanges(
      ['x', 'y', 'z'].map((key) => [{ namespace: 'app', key, value: Buffer.from('v') }]),
    ) as [Change, Change, Change];
    const at = (version: number) => {
      const replica = new Replica();
      for (const change of changes.slice(0, version)) replica.apply(change);
      return replica;
    };
    const withValue = (change: Change, value: string): Change => ({
      ...change,
      operations: change.operations.map((o) => (o.op === 'put' ? { ...o, value: Buffer.from(value) } : o)),
    });
    const lost = (from: number, to: number): Change => {
      const content = { version: to + 1, term: 2, kind: 'lost' as const, lost: { from, to }, operations: [] };
      const authored = { ...content, author: null, comment: null };
      const previous = changes[from - 2]?.chain ?? GENESIS_CHAIN;
      return { ...authored, chain: chainAfter(previous, authored), createdAt: '2026-01-01T00:00:00.000Z' };
    };

    it.each([
      ['what it has', 2, changes[0], 'duplicate'],
      ['a gap', 1, changes[2], 'gap'],
      ['another change at a version it has', 2, { ...changes[1], chain: 'f'.repeat(64) }, 'diverged'],
      ['a next change of another history', 1, { ...changes[1], chain: 'f'.repeat(64) }, 'diverged'],
      ['a change whose author was altered', 1, { ...changes[1], author: 'mallory' }, 'diverged'],
      ['a value that is not that of its checksum', 1, withValue(changes[1], 'w'), 'corrupt'],
      ['a lost tail that it still holds', 3, lost(3, 4), 'diverged'],
      ['a lost tail beyond its own', 1, lost(3, 4), 'gap'],
      [
        'a lost tail that does not end right before its version',
        3,
        { ...lost(4, 6), lost: { from: 4, to: 5 } },
        'corrupt',
      ],
    ])('%s', (_name, version, change, wanted) => {
      const replica = at(version);
      expect(replica.apply(change)).toBe(wanted);
      expect(replica.version).toBe(version);
      expect(replica.chain).toBe(changes[version - 1]?.chain);
    });

    it('no lost tail that follows on its own history', () => {
      const replica = at(2);
      expect(replica.apply(lost(3, 7))).toBe('applied');
      expect([replica.version, replica.term, replica.windowFloor]).toEqual([8, 2, 0]);
      expect(replica.changesAfter(4, 10)).toHaveLength(1);
    });
  });

  it('keeps no more of a network message than the value', () => {
    const message = Buffer.alloc(1_000_000);
    const value = message.subarray(10, 20);
    const [change] = toChanges([[{ namespace: 'app', key: 'k', value: Buffer.from(value) }]]) as [Change];
    const sliced = {
      ...change,
      operations: change.operations.map((o) => (o.op === 'put' ? { ...o, value } : o)),
    };
    const replica = new Replica();
    expect(replica.apply(sliced)).toBe('applied');
    expect(replica.get('app', 'k')?.value.buffer.byteLength).toBe(10);
  });

  it('begins anew with a loaded state', () => {
    const replica = new Replica();
    const state = new StateBuilder();
    const value = Buffer.from('v');
    state.add({
      namespace: 'app',
      key: 'k',
      value,
      contentType: 'text/plain',
      version: 7,
      checksum: checksumOf(value),
      updatedAt: '2026-01-01T00:00:00.000Z',
    });
    replica.load({ clusterId: 'c', version: 9, chain: 'a'.repeat(64), term: 3 }, state);
    expect(replica.get('app', 'k')?.version).toBe(7);
    expect(replica.changesAfter(8, 1)).toBe('compacted');
    expect(replica.changesAfter(9, 1)).toEqual([]);
    expect(stateOf(replica, 8)).toBe('expired');
  });
});

describe('chainAfter', () => {
  it('is what another language computes from the documented form', () => {
    const value = Buffer.from('8080');
    const checksum = checksumOf(value);
    expect(checksum).toBe('sha256:6c237681e70921603a306be9a1a5d9833fce5c1e268f52b1650970eaad0dce21');
    const first = chainAfter(GENESIS_CHAIN, {
      version: 1,
      term: 1,
      kind: 'change',
      author: 'Zoë',
      comment: null,
      operations: [
        { op: 'put', namespace: 'app', key: 'server/port', value, contentType: 'text/plain', checksum },
        { op: 'delete', namespace: 'app', key: 'old' },
      ],
    });
    expect(first).toBe('f326723f5ba34f5d50dc5be0e5b1e58fb27d88aedc68c13e700cace74602463e');
    const lost = { version: 9, term: 4, kind: 'lost' as const, lost: { from: 2, to: 9 } };
    expect(chainAfter(first, { ...lost, author: null, comment: null, operations: [] })).toBe(
      '4fb116ec111236ba9684dd40122bbefc2099e1cef2d7c7c0bbadb4c934ae749d',
    );
  });
});
