import { describe, expect, it } from 'vitest';
import type { Change } from '#libs/contracts';
import { chainAfter, checksumOf, Replica } from '#libs/replica';
import { PushedChanges } from './pushed-changes.js';

function history(count: number): Change[] {
  const changes: Change[] = [];
  let chain = '0'.repeat(64);
  for (let version = 1; version <= count; version++) {
    const value = Buffer.from(`value ${version}`);
    const type = { contentType: 'text/plain', checksum: checksumOf(value) };
    const operations = [{ op: 'put' as const, namespace: 'app', key: `k${version % 7}`, value, ...type }];
    const content = { version, term: 1, kind: 'change' as const, author: null, comment: null, operations };
    chain = chainAfter(chain, content);
    changes.push({ ...content, chain, createdAt: '2026-01-01T00:00:00.000Z' });
  }
  return changes;
}

function follower() {
  const replica = new Replica();
  return {
    replica,
    isLoading: false,
    receive: (changes: Parameters<Replica['apply']>[0][]) => {
      for (const change of changes) replica.apply(change);
      return { version: replica.version, chain: replica.chain };
    },
  };
}

describe('PushedChanges', () => {
  it.each([0, 1, 99, 100, 101, 350])(
    'takes %i changes, and says where the node then stands',
    async (count) => {
      const node = follower();
      const changes = history(count);
      const { version, chain } = await new PushedChanges(node).accept(changes);
      expect({ version, chain }).toEqual({ version: count, chain: changes.at(-1)?.chain ?? '0'.repeat(64) });
    },
  );

  it('takes one batch at a time, and lets others have their turn meanwhile', async () => {
    const pushed = new PushedChanges(follower());
    const changes = history(350);
    const first = pushed.accept(changes);
    expect(() => pushed.refuseIfBusy()).toThrow('cluster-busy');
    await expect(pushed.accept(changes)).rejects.toMatchObject({ code: 'cluster-busy', status: 429 });
    expect((await first).version).toBe(350);
    expect((await pushed.accept(changes)).version).toBe(350);
  });

  it('stops where a change is not taken, and refuses while the state is being loaded', async () => {
    const node = follower();
    const changes = history(350).toSpliced(149, 1);
    expect((await new PushedChanges(node).accept(changes)).version).toBe(149);
    node.isLoading = true;
    await expect(new PushedChanges(node).accept([])).rejects.toMatchObject({ code: 'cluster-busy' });
  });
});
