import { hash } from 'node:crypto';
import { CutDigests, type DigestedEntry } from './digest.js';

/*
 * A second level below the buckets: each bucket's keys fall into 64 parts, so that one wrong key in a million is found
 * among some sixteen instead of among a thousand. Nothing is kept of them: they are computed of one bucket when asked.
 */
export const BUCKET_PARTS = 64;

/** Part of a key in its bucket, 0 to 63: the 6 bits of SHA-256(namespace, 0x00, key) after those of the bucket. */
export function partOf(namespace: string, key: string): number {
  return hash('sha256', `${namespace}\0${key}`, 'binary').charCodeAt(1) & (BUCKET_PARTS - 1);
}

/** The digests of the parts of one bucket. */
export class PartDigests {
  private readonly sums = new CutDigests(BUCKET_PARTS);

  add(entry: DigestedEntry): void {
    this.sums.add(partOf(entry.namespace, entry.key), entry);
  }

  /** The first 8 bytes of each, one after the other: 512 bytes. */
  cut(): Buffer {
    return this.sums.cut();
  }
}
