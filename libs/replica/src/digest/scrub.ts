import { checksumOf } from '../chain.js';
import type { PinnedBucket, Replica } from '../replica.js';
import { DIGEST_BUCKETS, DigestSum } from './digest.js';

/** What was found: bytes that are not those of their checksum, or a bucket that is not what its digest says. */
export type ScrubFinding =
  | { kind: 'value'; bucket: number; namespace: string; key: string; version: number }
  | { kind: 'bucket'; bucket: number; expected: string; found: string };

export interface ScrubStep {
  findings: ScrubFinding[];
  /** The bucket that was finished by this step; undefined while it goes on. */
  finished: number | undefined;
  /** What was looked at, counted as `step` counts it. */
  bytes: number;
}

/** What looking at one entry costs beside hashing its value, in bytes that could be hashed meanwhile. */
const ENTRY_BYTES = 1_024;

/**
 * Computes the digest anew from what is stored, bucket after bucket, and compares it with the running one. The running
 * digest proves that the same changes were applied; it cannot see that what lies in memory was altered since.
 *
 * A bucket is looked at as it stood in one moment: its entries never change, they are only replaced. So changes may go
 * on, in this bucket too, and nothing is found that is not there.
 */
export class Scrub {
  private pinned: PinnedBucket | undefined;
  private next = 0;
  private sum = new DigestSum();

  /** Begins with `bucket`. */
  constructor(
    private readonly replica: Replica,
    private bucket = 0,
  ) {}

  /** Goes on to the end of a bucket, or by about so many bytes of values; at least by one entry. */
  scan(maxBytes: number): ScrubStep {
    this.pinned ??= this.replica.pinBucket(this.bucket);
    const { entries, digest } = this.pinned;
    const findings: ScrubFinding[] = [];
    let bytes = 0;
    for (; this.next < entries.length && bytes < maxBytes; this.next++) {
      const entry = entries[this.next];
      if (entry === undefined) break;
      bytes += entry.value.length + ENTRY_BYTES;
      this.sum.add(entry);
      if (checksumOf(entry.value) !== entry.checksum) {
        const { namespace, key, version } = entry;
        findings.push({ kind: 'value', bucket: this.bucket, namespace, key, version });
      }
    }
    if (this.next < entries.length) return { findings, finished: undefined, bytes };
    const { bucket } = this;
    const found = this.sum.hex;
    if (found !== digest) findings.push({ kind: 'bucket', bucket, expected: digest, found });
    this.begin((bucket + 1) % DIGEST_BUCKETS);
    return { findings, finished: bucket, bytes };
  }

  private begin(bucket: number): void {
    this.bucket = bucket;
    this.pinned = undefined;
    this.next = 0;
    this.sum = new DigestSum();
  }
}
