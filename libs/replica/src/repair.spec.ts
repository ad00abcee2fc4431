import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change, Operation } from '#libs/contracts';
import { chainAfter, checksumOf, GENESIS_CHAIN } from './chain.js';
import { bucketOf, DIGEST_BUCKETS } from './digest/digest.js';
import type { KeySpace } from './digest/key-space.js';
import { Scrub, type ScrubFinding } from './digest/scrub.js';
import type { Entry } from './entry.js';
import type { KeyTruth } from './repair.js';
import { Replica } from './replica.js';

const KEYS = ['a', 'b', 'c', 'd'] as const;
const AT = '2026-01-01T00:00:00.000Z';

function put(key: string, value: string): Operation {
  const bytes = Buffer.from(value);
  const checksum = checksumOf(bytes);
  return { op: 'put', namespace: 'app', key, value: bytes, contentType: 'text/plain', checksum };
}

function apply(replica: Replica, ...operations: Operation[]): void {
  const content = {
    ...{ version: replica.version + 1, term: 1, kind: 'change' as const, author: null, comment: null },
    operations,
  };
  const change: Change = { ...content, chain: chainAfter(replica.chain, content), createdAt: AT };
  if (replica.apply(change) !== 'applied') throw new Error('not applied');
}

/** As a fault of the program would: the digest follows, the history does not know. */
const spaceOf = (replica: Replica): KeySpace => Reflect.get(replica, 'space');
const wrong = (key: string, version: number): Entry => {
  const value = Buffer.from(`wrong ${version}`);
  return {
    ...{ namespace: 'app', key, value, contentType: 'text/plain', version },
    ...{ checksum: checksumOf(value), updatedAt: AT },
  };
};
const truthOf = (right: Replica, key: string): KeyTruth => ({
  namespace: 'app',
  key,
  entry: right.get('app', key),
});

function findings(replica: Replica): ScrubFinding[] {
  const scrub = new Scrub(replica);
  const found: ScrubFinding[] = [];
  for (let finished = 0; finished < DIGEST_BUCKETS; ) {
    const step = scrub.scan(1e9);
    found.push(...step.findings);
    if (step.finished !== undefined) finished++;
  }
  return found;
}

function pair(): [right: Replica, damaged: Replica] {
  const replicas: [Replica, Replica] = [new Replica(), new Replica()];
  for (const replica of replicas) {
    apply(replica, put('a', 'one'), put('b', 'two'));
    apply(replica, put('c', 'three'));
  }
  return replicas;
}

describe('repairing keys', () => {
  it('sets a missing, a mismatching and an extra key right, and the digest with them', () => {
    const [right, damaged] = pair();
    spaceOf(damaged).restore(wrong('a', 1));
    spaceOf(damaged).repair('app', 'b', undefined);
    spaceOf(damaged).restore(wrong('x', 2));
    expect(damaged.digest.hash).not.toBe(right.digest.hash);
    const done = damaged.repair(
      2,
      right.chain,
      ['a', 'b', 'c', 'x'].map((key) => truthOf(right, key)),
    );
    if (typeof done === 'string') throw new Error(done);
    expect(done.map(({ key, outcome }) => `${key} ${outcome}`)).toEqual([
      'a repaired',
      'b repaired',
      'c equal',
      'x repaired',
    ]);
    expect(done[0]?.before?.checksum).toBe(wrong('a', 1).checksum);
    expect(done[1]?.before).toBeNull();
    expect(done[3]?.after).toBeNull();
    expect(damaged.digest).toEqual(right.digest);
    expect(damaged.bucketDigestsAt(2)).toEqual(right.bucketDigestsAt(2));
    expect(damaged.get('app', 'x')).toBeUndefined();
    // What was told of earlier versions came of the damage.
    expect(damaged.digestAt(1)).toBe('forgotten');
  });

  it('sees bytes that were altered in place, and a checksum altered with them', () => {
    const [right, damaged] = pair();
    const original = Buffer.from('one');
    damaged.get('app', 'a')?.value.write('X');
    const altered = damaged.get('app', 'c');
    if (altered === undefined) throw new Error('no entry');
    altered.value.write('Y');
    Object.assign(altered, { checksum: checksumOf(altered.value) });
    expect(findings(damaged).length).toBeGreaterThan(0);
    const entry = right.get('app', 'a');
    expect(entry?.value).toEqual(original);
    damaged.repair(2, right.chain, [truthOf(right, 'a'), truthOf(right, 'c')]);
    expect(findings(damaged)).toEqual([]);
    expect(damaged.digest).toEqual(right.digest);
  });

  it('leaves a key alone that was changed since, or deleted since', () => {
    const [right, damaged] = pair();
    const pinned = [truthOf(right, 'a'), truthOf(right, 'b')];
    for (const replica of [right, damaged]) {
      apply(replica, put('a', 'newer'));
      apply(replica, { op: 'delete', namespace: 'app', key: 'b' });
    }
    const done = damaged.repair(2, right.chainAt(2) ?? '', pinned);
    expect(done).toMatchObject([{ outcome: 'newer' }, { outcome: 'newer' }]);
    expect(damaged.digest).toEqual(right.digest);
  });

  it('says why it cannot: not reached, forgotten, another history', () => {
    const [right, damaged] = pair();
    expect(damaged.repair(3, right.chain, [])).toBe('not-reached');
    expect(damaged.repair(2, GENESIS_CHAIN, [])).toBe('other-chain');
    const short = new Replica({ versions: 1, bytes: 1e9 });
    for (let i = 0; i < 5; i++) apply(short, put('a', `${i}`));
    expect(short.repair(1, right.chain, [])).toBe('forgotten');
  });

  it('makes any damage good, while changes go on', () => {
    const operation = fc.record({ key: fc.constantFrom(...KEYS), value: fc.option(fc.nat(3), { freq: 3 }) });
    const history = fc.array(operation, { minLength: 1, maxLength: 8 });
    const damage = fc.array(
      fc.record({ key: fc.constantFrom(...KEYS, 'x'), version: fc.option(fc.integer({ min: 1, max: 9 })) }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(history, damage, fc.array(operation, { maxLength: 4 }), (before, damages, later) => {
        const replicas: [Replica, Replica] = [new Replica(), new Replica()];
        const [right, damaged] = replicas;
        const change = ({ key, value }: { key: string; value: number | null }) => {
          for (const replica of replicas)
            apply(replica, value === null ? { op: 'delete', namespace: 'app', key } : put(key, `${value}`));
        };
        for (const each of before) change(each);
        for (const { key, version } of damages)
          spaceOf(damaged).repair('app', key, version === null ? undefined : wrong(key, version));
        for (const key of [...KEYS, 'x']) spaceOf(damaged).rebuildDigest(bucketOf('app', key));
        const { version, chain } = right;
        const truths = [...KEYS, 'x'].map((key) => truthOf(right, key));
        for (const each of later) change(each);
        const done = damaged.repair(version, chain, truths);
        expect(Array.isArray(done)).toBe(true);
        expect(damaged.digest).toEqual(right.digest);
        expect(findings(damaged)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  }, 60_000);
});
