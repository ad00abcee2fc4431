import { describe, expect, it } from 'vitest';
import { sha256 } from '#libs/kernel';
import { RequestHashes } from './request-hashes.js';

describe('keyed request_hash: the stored hash of a request', () => {
  const hashes = new RequestHashes('a cluster key');
  const digest = sha256('hunter2');

  it('cannot be computed from the request without the cluster key', () => {
    const stored = hashes.keyed(digest);
    expect([stored.length, stored[0]]).toEqual([33, 2]);
    expect(stored.includes(digest)).toBe(false);
    expect(new RequestHashes('another key').keyed(digest)).not.toEqual(stored);
    // A known answer, so that the next release computes the same.
    expect(stored.toString('hex')).toBe('0271ce1ae2f70c453fe0ebd64c34dc186df5fa03003ff9d0a8ec413d8df61eaf0f');
  });

  it('of an earlier release stands for the same request', () => {
    expect(hashes.current(digest)).toEqual(hashes.keyed(digest));
    expect(hashes.current(hashes.keyed(digest))).toEqual(hashes.keyed(digest));
    expect(hashes.current(null)).toBeNull();
  });
});
