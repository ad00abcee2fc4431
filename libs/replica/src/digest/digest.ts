import { hash } from 'node:crypto';
import type { Entry } from '../entry.js';

/*
 * The digest of a state: a set hash, so that it can follow every change at a constant cost, and does not depend on how
 * the state came about.
 *
 *   element = SHA-256 of the canonical JSON [1, namespace, key, version, content type, checksum] of an entry
 *   digest  = sum of the elements, read as little-endian numbers, modulo 2^256; in hex, byte by byte as it is stored
 *
 * It is a sum, not an exclusive or, so that two equal faults do not cancel each other (AdHash: Bellare and Micciancio,
 * "A New Paradigm for Collision-Free Hashing", 1997). It finds damage and mistakes; it is no defence against somebody
 * who can choose entries so that sums collide.
 *
 * Besides the digest of everything there is one of each of 1,024 buckets of keys, to find where two states differ.
 */

/** Number of the algorithm above. Digests of different formats cannot be compared: unknown, not unequal. */
export const DIGEST_FORMAT = 1;
export const DIGEST_BUCKETS = 1_024;
/** The digest of no entries. */
export const EMPTY_DIGEST = '0'.repeat(64);

/** What of an entry its element depends on. The time does not take part: it is the database's. */
export type DigestedEntry = Pick<Entry, 'namespace' | 'key' | 'version' | 'contentType' | 'checksum'>;

/**
 * Bucket of a key, 0 to 1,023: the first 10 bits of SHA-256(namespace, 0x00, key) in UTF-8. In SQL, where `h` is
 * `sha256(convert_to(namespace, 'UTF8') || '\x00'::bytea || convert_to(key, 'UTF8'))`:
 * `(get_byte(h, 0) << 2) | (get_byte(h, 1) >> 6)`.
 */
export function bucketOf(namespace: string, key: string): number {
  const bytes = hash('sha256', `${namespace}\0${key}`, 'binary');
  return (bytes.charCodeAt(0) << 2) | (bytes.charCodeAt(1) >> 6);
}

const WORDS = 8;
const WORD_BYTES = 4;
const SUM_BYTES = WORDS * WORD_BYTES;
const TWO_TO_32 = 2 ** 32;

/** The digests of all buckets and of everything: sums in one array, the last one that of everything. */
export class StateDigest {
  private readonly words = new Uint32Array((DIGEST_BUCKETS + 1) * WORDS);
  private readonly bytes = Buffer.from(this.words.buffer);

  add(bucket: number, entry: DigestedEntry): void {
    this.fold(bucket, entry, 1);
  }

  remove(bucket: number, entry: DigestedEntry): void {
    this.fold(bucket, entry, -1);
  }

  /** Computes a bucket anew from what is in it, and the whole from all buckets. */
  rebuild(bucket: number, entries: readonly DigestedEntry[]): void {
    this.words.fill(0, bucket * WORDS, (bucket + 1) * WORDS);
    for (const entry of entries) foldInto(this.words, bucket * WORDS, elementOf(entry), 1);
    const whole = DIGEST_BUCKETS * WORDS;
    this.words.fill(0, whole);
    for (let each = 0; each < DIGEST_BUCKETS; each++) {
      let carry = 0;
      for (let i = 0; i < WORDS; i++) {
        const sum = (this.words[whole + i] as number) + (this.words[each * WORDS + i] as number) + carry;
        this.words[whole + i] = sum;
        carry = Math.floor(sum / TWO_TO_32);
      }
    }
  }

  /** Of the whole state. */
  get root(): string {
    return this.hexOf(DIGEST_BUCKETS);
  }

  ofBucket(bucket: number): string {
    return this.hexOf(bucket);
  }

  /** The first 8 bytes of each bucket's digest, one after the other: 8 KiB. */
  cutBuckets(): Buffer {
    return cutSums(this.words, DIGEST_BUCKETS);
  }

  copy(): StateDigest {
    const copy = new StateDigest();
    copy.words.set(this.words);
    return copy;
  }

  private fold(bucket: number, entry: DigestedEntry, sign: 1 | -1): void {
    const element = elementOf(entry);
    foldInto(this.words, bucket * WORDS, element, sign);
    foldInto(this.words, DIGEST_BUCKETS * WORDS, element, sign);
  }

  private hexOf(sum: number): string {
    return this.bytes.toString('hex', sum * SUM_BYTES, (sum + 1) * SUM_BYTES);
  }
}

const CUT_WORDS = 2;
/** Bytes of a bucket's digest that are told when all buckets are. */
export const CUT_BYTES = CUT_WORDS * WORD_BYTES;

/** One sum by itself, for computing a digest anew. */
export class DigestSum {
  private readonly words = new Uint32Array(WORDS);
  private isEmpty = true;

  add(entry: DigestedEntry): void {
    this.isEmpty = false;
    foldInto(this.words, 0, elementOf(entry), 1);
  }

  get hex(): string {
    return this.isEmpty ? EMPTY_DIGEST : Buffer.from(this.words.buffer).toString('hex');
  }
}

/** Several sums in one array; told cut to their first 8 bytes. */
export class CutDigests {
  private readonly words: Uint32Array;

  constructor(private readonly count: number) {
    this.words = new Uint32Array(count * WORDS);
  }

  add(index: number, entry: DigestedEntry): void {
    foldInto(this.words, index * WORDS, elementOf(entry), 1);
  }

  cut(): Buffer {
    return cutSums(this.words, this.count);
  }
}

function cutSums(words: Uint32Array, count: number): Buffer {
  const cut = new Uint32Array(count * CUT_WORDS);
  for (let sum = 0; sum < count; sum++) {
    for (let i = 0; i < CUT_WORDS; i++) cut[sum * CUT_WORDS + i] = words[sum * WORDS + i] as number;
  }
  return Buffer.from(cut.buffer);
}

/** 32 bytes, one in each character: the fastest form in which Node gives a hash. */
function elementOf({ namespace, key, version, contentType, checksum }: DigestedEntry): string {
  const content = JSON.stringify([DIGEST_FORMAT, namespace, key, version, contentType, checksum]);
  return hash('sha256', content, 'binary');
}

/** Adds to the sum that begins at word `at`, or takes away from it; what leaves at the top is dropped. */
function foldInto(words: Uint32Array, at: number, element: string, sign: 1 | -1): void {
  let carry = 0;
  for (let i = 0; i < WORDS; i++) {
    const sum = (words[at + i] as number) + sign * wordAt(element, i * WORD_BYTES) + carry;
    words[at + i] = sum;
    carry = Math.floor(sum / TWO_TO_32);
  }
}

function wordAt(bytes: string, at: number): number {
  const low = bytes.charCodeAt(at) | (bytes.charCodeAt(at + 1) << 8) | (bytes.charCodeAt(at + 2) << 16);
  return low + bytes.charCodeAt(at + 3) * 2 ** 24;
}
