import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change, Operation } from '#libs/contracts';
import { chainAfter, checksumOf, GENESIS_CHAIN } from './chain.js';
import {
  bucketOf,
  CUT_BYTES,
  DIGEST_BUCKETS,
  DigestSum,
  EMPTY_DIGEST,
  StateDigest,
} from './digest/digest.js';
import type { Entry } from './entry.js';
import { Replica, StateBuilder } from './replica.js';
import { encodeSnapshot, pinState, SnapshotDecoder } from './snapshot.js';

interface Drawn {
  namespace: string;
  key: string;
  value: number | null;
}

/** Null = a tail that the database lost. */
const drawnHistory = fc.array(
  fc.option(
    fc.uniqueArray(
      fc.record({
        namespace: fc.constantFrom('app', 'zone'),
        key: fc.constantFrom('a', 'a/b', 'é', '\u{1F600}'),
        value: fc.option(fc.nat(3), { freq: 2 }),
      }),
      { minLength: 1, maxLength: 3, selector: (drawn) => `${drawn.namespace}\n${drawn.key}` },
    ),
    { freq: 12 },
  ),
  { maxLength: 12 },
);

function toOperation({ namespace, key, value }: Drawn): Operation {
  if (value === null) return { op: 'delete', namespace, key };
  const bytes = Buffer.from([value]);
  return { op: 'put', namespace, key, value: bytes, contentType: 'text/plain', checksum: checksumOf(bytes) };
}

function toChanges(history: readonly (Drawn[] | null)[]): Change[] {
  const changes: Change[] = [];
  for (const set of history) {
    const next = (changes.at(-1)?.version ?? 0) + 1;
    const lost = { from: next, to: next + 2 };
    const content = {
      term: 1,
      author: null,
      comment: null,
      ...(set === null
        ? { version: lost.to + 1, kind: 'lost' as const, lost, operations: [] }
        : { version: next, kind: 'change' as const, operations: set.map(toOperation) }),
    };
    const chain = chainAfter(changes.at(-1)?.chain ?? GENESIS_CHAIN, content);
    changes.push({ ...content, chain, createdAt: '2026-01-01T00:00:00.000Z' });
  }
  return changes;
}

function apply(replica: Replica, changes: readonly Change[]): Replica {
  for (const change of changes) if (replica.apply(change) !== 'applied') throw new Error('not applied');
  return replica;
}

function entriesOf(replica: Replica): Entry[] {
  return replica.namespaces().flatMap(({ name }) => {
    const page = replica.list({ namespace: name, prefix: '', limit: 1e9, maxBytes: 1e9 });
    return page === 'expired' ? [] : page.entries;
  });
}

/** From nothing but the entries. */
function sumOf(replica: Replica): string {
  const sum = new DigestSum();
  for (const entry of entriesOf(replica)) sum.add(entry);
  return sum.hex;
}

function anew(replica: Replica): StateDigest {
  const digest = new StateDigest();
  for (const entry of entriesOf(replica)) digest.add(bucketOf(entry.namespace, entry.key), entry);
  return digest;
}

function copyOf(replica: Replica): Replica {
  const state = new StateBuilder();
  for (const entry of entriesOf(replica).reverse()) state.add(entry);
  const { clusterId, version, chain, term } = replica;
  const copy = new Replica();
  copy.load({ clusterId, version, chain, term }, state);
  return copy;
}

async function throughSnapshot(replica: Replica): Promise<Replica> {
  const pinned = await pinState(replica, async () => {});
  if (pinned === undefined) throw new Error('the window was overtaken');
  const decoder = new SnapshotDecoder();
  for (const chunk of encodeSnapshot(pinned)) decoder.push(chunk);
  const { header, state } = decoder.finish();
  const loaded = new Replica();
  loaded.load(header, state);
  return loaded;
}

const cutAt = (replica: Replica, version: number) => {
  const answer = replica.bucketDigestsAt(version);
  return typeof answer === 'string' ? answer : answer.buckets;
};

const putting = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => [{ namespace: 'app', key: `k${from + i}`, value: 1 }]);

describe('a replica', () => {
  it('has the digest of what it holds, whatever the way there, now and at the versions it passed', {
    timeout: 120_000,
  }, () => {
    fc.assert(
      fc.property(drawnHistory, fc.nat(12), fc.integer({ min: 1, max: 6 }), (history, cut, kept) => {
        const changes = toChanges(history);
        const replica = new Replica();
        const passed = [replica.digest];
        let middle = anew(replica).cutBuckets();
        for (const [index, change] of changes.entries()) {
          replica.apply(change);
          if (index + 1 === cut) middle = anew(replica).cutBuckets();
          passed.push(replica.digest);
          expect(replica.digest.hash).toBe(sumOf(replica));
        }
        for (const point of passed) expect(replica.digestAt(point.version)).toEqual(point);
        const at = passed[cut];
        if (at) expect(replica.bucketDigestsAt(at.version)).toEqual({ ...at, buckets: middle });
        const windowed = apply(new Replica({ versions: kept, bytes: 1e6 }), changes);
        expect(windowed.digest).toEqual(replica.digest);
        const loaded = copyOf(apply(new Replica(), changes.slice(0, cut)));
        expect(apply(loaded, changes.slice(cut)).digest).toEqual(replica.digest);
      }),
      { numRuns: 10_000 },
    );
  });

  it('has the same digest after it was written to disk and read again', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(drawnHistory, async (history) => {
        const replica = apply(new Replica(), toChanges(history));
        expect((await throughSnapshot(replica)).digest).toEqual(replica.digest);
      }),
      { numRuns: 300 },
    );
  });

  it('begins with the digest of nothing', () => {
    const point = { version: 0, chain: GENESIS_CHAIN, hash: EMPTY_DIGEST };
    expect(new Replica().digest).toEqual(point);
    expect(new Replica().digestAt(0)).toEqual(point);
    expect(new Replica().digestAt(1)).toBe('not-reached');
  });

  it('knows the entries of a bucket now and before, and no others', () => {
    const replica = apply(new Replica(), toChanges(putting(300)));
    const all = Array.from({ length: DIGEST_BUCKETS }, (_, bucket) => replica.entriesOfBucket(bucket, 300));
    expect(all.flat().length).toBe(300);
    all.forEach((entries, bucket) => {
      for (const { namespace, key } of entries as Entry[]) expect(bucketOf(namespace, key)).toBe(bucket);
    });
    const bucket = bucketOf('app', 'k299');
    const keysAt = (version: number) => {
      const entries = replica.entriesOfBucket(bucket, version);
      return typeof entries === 'string' ? entries : entries.map(({ key }) => key);
    };
    expect(keysAt(300)).toContain('k299');
    expect(keysAt(299)).not.toContain('k299');
    expect(keysAt(301)).toBe('not-reached');
  });

  it('forgets a key that is gone, and its place in the bucket', () => {
    const replica = new Replica({ versions: 1, bytes: 1e6 });
    const history: Drawn[][] = putting(50);
    for (let i = 0; i < 50; i += 2) history.push([{ namespace: 'app', key: `k${i}`, value: null }]);
    apply(replica, toChanges(history));
    const all = Array.from({ length: DIGEST_BUCKETS }, (_, bucket) => replica.pinBucket(bucket).entries);
    expect(
      all
        .flat()
        .map(({ key }) => key)
        .sort(),
    ).toEqual(Array.from({ length: 25 }, (_, i) => `k${2 * i + 1}`).sort());
    expect(replica.digest.hash).toBe(anew(replica).root);
  });

  it('remembers the latest 4,096 versions, every 1,000th before, and says what it does not know', {
    timeout: 60_000,
  }, () => {
    const changes = toChanges(Array.from({ length: 7_500 }, () => putting(1).flat()));
    const replica = apply(new Replica(), changes);
    const known = (version: number) => {
      const point = replica.digestAt(version);
      return typeof point === 'string' ? point : point.chain === changes[version - 1]?.chain;
    };
    expect([7_500, 5_000, 3_405].map(known)).toEqual([true, true, true]);
    expect([3_404, 3_001, 1].map(known)).toEqual(['forgotten', 'forgotten', 'forgotten']);
    expect([3_000, 2_000, 1_000].map(known)).toEqual([true, true, true]);
    expect(known(7_501)).toBe('not-reached');
    // Buckets only as far back as it costs little.
    expect(cutAt(replica, 7_500 - 2_000)).toBeInstanceOf(Buffer);
    expect(cutAt(replica, 7_500 - 2_001)).toBe('forgotten');
    expect(cutAt(replica, 7_501)).toBe('not-reached');
  });

  it('knows nothing of before it was loaded', () => {
    const replica = copyOf(apply(new Replica(), toChanges(putting(20))));
    expect(replica.digestAt(19)).toBe('forgotten');
    expect(replica.digestAt(20)).toEqual(replica.digest);
    expect(replica.entriesOfBucket(0, 19)).toBe('forgotten');
    expect((cutAt(replica, 20) as Buffer).length).toBe(DIGEST_BUCKETS * CUT_BYTES);
  });
});
