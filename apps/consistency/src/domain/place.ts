import { bucketOf, partOf } from '#libs/replica';
import type { KeyName } from './comparison/pin.js';

/** Part null = the whole bucket. */
export interface Place {
  bucket: number;
  part: number | null;
}

export function isIn({ bucket, part }: Place, { namespace, key }: KeyName): boolean {
  return bucketOf(namespace, key) === bucket && (part === null || partOf(namespace, key) === part);
}
