import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksumOf } from '../chain.js';
import {
  bucketOf,
  CUT_BYTES,
  DIGEST_BUCKETS,
  type DigestedEntry,
  DigestSum,
  EMPTY_DIGEST,
  StateDigest,
} from './digest.js';

const RUNS = { numRuns: 10_000 };

function entry(namespace: string, key: string, version: number, contentType: string, value: Uint8Array) {
  return { namespace, key, version, contentType, checksum: checksumOf(Buffer.from(value)) };
}

const drawnEntry = fc
  .tuple(
    fc.constantFrom('app', 'app.web', 'zone'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }),
    fc.nat(1_000),
    fc.constantFrom('text/plain', 'application/json'),
    fc.uint8Array({ maxLength: 8 }),
  )
  .map((parts) => entry(...parts));

function digestOf(entries: readonly DigestedEntry[]): StateDigest {
  const digest = new StateDigest();
  for (const it of entries) digest.add(bucketOf(it.namespace, it.key), it);
  return digest;
}

/** Buckets in which two digests differ. */
function differing(a: StateDigest, b: StateDigest): number[] {
  const [cutA, cutB] = [a.cutBuckets(), b.cutBuckets()];
  const found: number[] = [];
  for (let bucket = 0; bucket < DIGEST_BUCKETS; bucket++) {
    if (cutA.readBigUInt64LE(bucket * CUT_BYTES) !== cutB.readBigUInt64LE(bucket * CUT_BYTES))
      found.push(bucket);
  }
  return found;
}

describe('the digest of a state', () => {
  const known = [
    [entry('app', 'server/port', 1, 'text/plain', Buffer.from('8080')), 449],
    [entry('app', 'größe/\u{1F600}', 2, 'application/json', Buffer.from('{"a":1}')), 865],
    [entry('zone.eu', '"quoted\\"', 3, 'text/plain', Buffer.alloc(0)), 833],
  ] as const;

  it('is what another language computes from the documented form', () => {
    // python: sum(int.from_bytes(sha256(json).digest(), 'little')) % 2**256
    const sums = [
      'afde5f988db98620d8fb40b02b4a0e930abc8c67ba314a7771d71b38f0a5e738',
      'c24a677c14ebd7a5ac038e59433bd857f884e60cece7352a3629d385386f480f',
      '39700fe9caab4ec80ebde8185b542c6fc40dc45d2d723b39dcefc26be75f3ad9',
    ];
    const digest = new StateDigest();
    expect(digest.root).toBe(EMPTY_DIGEST);
    for (const [index, [added, bucket]] of known.entries()) {
      expect(bucketOf(added.namespace, added.key)).toBe(bucket);
      digest.add(bucket, added);
      expect(digest.root).toBe(sums[index]);
    }
    expect(digest.ofBucket(833)).toBe('7725a86cb6c0762262b95abf17195417cc88dd50418a050fa6c6efe5aef0f1c9');
    const cut = digest.cutBuckets();
    expect(cut.length).toBe(DIGEST_BUCKETS * CUT_BYTES);
    expect(cut.toString('hex', 833 * CUT_BYTES, 834 * CUT_BYTES)).toBe('7725a86cb6c07622');
    expect(cut.toString('hex', 834 * CUT_BYTES, 835 * CUT_BYTES)).toBe('0000000000000000');
  });

  it('drops what leaves at the top, and borrows from there', () => {
    const digest = digestOf(known.map(([it]) => it));
    for (const [it, bucket] of known) digest.remove(bucket, it);
    expect(digest.root).toBe(EMPTY_DIGEST);
    const [[first, bucket]] = known;
    digest.remove(bucket, first);
    const below = BigInt(`0x${Buffer.from(digest.root, 'hex').reverse().toString('hex')}`);
    const element = BigInt(
      `0x${Buffer.from(digestOf([first]).root, 'hex')
        .reverse()
        .toString('hex')}`,
    );
    expect(below).toBe(2n ** 256n - element);
  });

  it('does not depend on the order, and is the sum of its buckets', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(drawnEntry, { maxLength: 8 }), fc.func(fc.integer()), (entries, rank) => {
        const shuffled = entries.toSorted((a, b) => rank(a) - rank(b));
        const digest = digestOf(entries);
        expect(digestOf(shuffled).root).toBe(digest.root);
        const sum = new DigestSum();
        for (const it of entries) sum.add(it);
        expect(sum.hex).toBe(digest.root);
      }),
      RUNS,
    );
  });

  it('is as before when what was added is taken away again', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(drawnEntry, { maxLength: 5 }), drawnEntry, (entries, added) => {
        const digest = digestOf(entries);
        const before = digest.copy();
        const bucket = bucketOf(added.namespace, added.key);
        digest.add(bucket, added);
        expect(digest.root).not.toBe(before.root);
        digest.remove(bucket, added);
        expect(digest.root).toBe(before.root);
        expect(digest.cutBuckets().equals(before.cutBuckets())).toBe(true);
      }),
      RUNS,
    );
  });

  it('two equal faults do not cancel each other', () => {
    const [[first, bucket]] = known;
    const digest = new StateDigest();
    digest.add(bucket, first);
    digest.add(bucket, first);
    expect(digest.root).not.toBe(EMPTY_DIGEST);
  });

  it('and its one bucket change with any single bit of value, key, namespace, type or version', {
    timeout: 60_000,
  }, () => {
    const others = fc.array(drawnEntry, { maxLength: 3 });
    const field = fc.constantFrom('value', 'key', 'namespace', 'contentType', 'version');
    const value = fc.uint8Array({ minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(others, drawnEntry, value, field, fc.nat(), (rest, drawn, bytes, changed, bit) => {
        const original = { ...drawn, checksum: checksumOf(Buffer.from(bytes)) };
        const altered = { ...original };
        if (changed === 'value') altered.checksum = checksumOf(flipped(Buffer.from(bytes), bit));
        else if (changed === 'version') altered.version = flippedVersion(original.version, bit);
        else altered[changed] = flippedText(original[changed], bit);
        const before = digestOf([...rest, original]);
        const after = digestOf([...rest, altered]);
        expect(after.root).not.toBe(before.root);
        const buckets = [original, altered].map((it) => bucketOf(it.namespace, it.key));
        if (changed !== 'key' && changed !== 'namespace') expect(buckets[0]).toBe(buckets[1]);
        expect(differing(before, after)).toEqual([...new Set(buckets)].sort((a, b) => a - b));
      }),
      RUNS,
    );
  });
});

function flipped(bytes: Buffer, bit: number): Buffer {
  const at = (bit >> 3) % bytes.length;
  bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7));
  return bytes;
}

/** One bit of one UTF-16 code unit, unless that leaves no well-formed text: then its lowest bit. */
function flippedText(text: string, bit: number): string {
  const at = (bit >> 4) % text.length;
  const swap = (mask: number) =>
    text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ mask) + text.slice(at + 1);
  const any = swap(1 << (bit & 15));
  return any.isWellFormed() ? any : swap(1);
}

/** One of the 53 bits of a version. */
function flippedVersion(version: number, bit: number): number {
  return Number(BigInt(version) ^ (1n << BigInt(bit % 53)));
}
