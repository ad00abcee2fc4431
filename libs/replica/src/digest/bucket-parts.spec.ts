import { expect, it } from 'vitest';
import { sha256 } from '#libs/kernel';
import { BUCKET_PARTS, PartDigests, partOf } from './bucket-parts.js';
import { bucketOf, CUT_BYTES } from './digest.js';

const entryOf = (key: string, version = 1) => ({
  ...{ namespace: 'app', key, version, contentType: 'text/plain' },
  checksum: `sha256:${sha256(key).toString('hex')}`,
});
const keys = Array.from({ length: 2_000 }, (_, i) => `k${i}`);
const cutsOf = (of: readonly string[], changed?: string) => {
  const parts = new PartDigests();
  for (const key of of) parts.add(entryOf(key, key === changed ? 2 : 1));
  return parts.cut();
};
const differing = (a: Buffer, b: Buffer) =>
  Array.from({ length: BUCKET_PARTS }, (_, part) => part).filter((part) => {
    const [from, to] = [part * CUT_BYTES, (part + 1) * CUT_BYTES];
    return a.compare(b, from, to, from, to) !== 0;
  });

it('are the 6 bits after those of the bucket', () => {
  for (const key of keys.slice(0, 100)) {
    const bits = sha256(`app\0${key}`).readUInt16BE(0);
    expect([bucketOf('app', key), partOf('app', key)]).toEqual([bits >> 6, bits & 63]);
  }
});

it('take their share of the keys each', () => {
  const counts = new Array<number>(BUCKET_PARTS).fill(0);
  for (const key of keys) counts[partOf('app', key)] = (counts[partOf('app', key)] ?? 0) + 1;
  expect(Math.min(...counts)).toBeGreaterThan(8);
  expect(Math.max(...counts)).toBeLessThan(70);
});

it('differ where one key does, however they were added up', () => {
  const right = cutsOf(keys);
  expect(right).toHaveLength(BUCKET_PARTS * CUT_BYTES);
  expect(cutsOf(keys.toReversed())).toEqual(right);
  for (const key of keys.slice(0, 20)) {
    expect(differing(right, cutsOf(keys, key))).toEqual([partOf('app', key)]);
    expect(differing(right, cutsOf(keys.filter((each) => each !== key)))).toEqual([partOf('app', key)]);
  }
});
