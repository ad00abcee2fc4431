import { bucketOf, CUT_BYTES, StateDigest } from '#libs/replica';
import type { ReferenceEntry } from '../reference/reference.js';
import type { KeyName } from './pin.js';

/** The cut digest of one bucket, in hex. */
export function cutOf(buckets: Buffer, bucket: number): string {
  return buckets.toString('hex', bucket * CUT_BYTES, (bucket + 1) * CUT_BYTES);
}

/** Buckets, or parts of one, of which not all have the same digest. */
export function differing(answers: readonly Buffer[]): number[] {
  const [first, ...others] = answers;
  if (first === undefined) return [];
  const found: number[] = [];
  for (let from = 0; from < first.length; from += CUT_BYTES) {
    const to = from + CUT_BYTES;
    if (others.some((other) => first.compare(other, from, to, from, to) !== 0)) found.push(from / CUT_BYTES);
  }
  return found;
}

/** What a bucket's digest should be; undefined while the truth of a key is not known. */
export function trueCut(truths: Iterable<KeyName & { truth: ReferenceEntry }>): string | undefined {
  const digest = new StateDigest();
  let bucket = 0;
  for (const { namespace, key, truth } of truths) {
    if (truth.state === 'unknown' || truth.disputed) return undefined;
    bucket = bucketOf(namespace, key);
    if (truth.state === 'present') digest.add(bucket, { namespace, key, ...truth.expected });
  }
  return digest.ofBucket(bucket).slice(0, CUT_BYTES * 2);
}
