import { describe, expect, it } from 'vitest';
import { sha256 } from '#libs/kernel';
import { bucketOf, DIGEST_FORMAT, StateDigest } from '#libs/replica';
import type { NodeOutcome } from '../comparison/round.js';
import { NO_SUSPICION } from '../comparison/suspicion.js';
import { compareWithReference, type HeldByNode, stillSuspected } from './reference-comparison.js';
import { ReferencePace } from './reference-pace.js';

const PIN = { version: 9, chain: 'c'.repeat(64) };

function digestOf(keys: readonly string[]): StateDigest {
  const digest = new StateDigest();
  for (const key of keys) {
    const checksum = `sha256:${sha256(key).toString('hex')}`;
    digest.add(bucketOf('app', key), {
      namespace: 'app',
      key,
      version: 1,
      contentType: 'text/plain',
      checksum,
    });
  }
  return digest;
}

function held(digest: StateDigest, change: { chain?: string; mute?: boolean } = {}): HeldByNode {
  const { chain = PIN.chain, mute = false } = change;
  const root = { ...PIN, chain, known: true, format: DIGEST_FORMAT, hash: digest.root, damagedBuckets: [] };
  return { root: { ...root, known: true }, cuts: mute ? undefined : digest.cutBuckets() };
}

const right = digestOf(['a', 'b', 'c']);
const wrong = digestOf(['a', 'b']);

describe('the comparison with the truth', () => {
  it('suspects whoever differs from the database, also when all nodes agree', () => {
    const nodes = { n1: held(wrong), n2: held(wrong) };
    const { match, suspects, unknown } = compareWithReference(
      ...([PIN, DIGEST_FORMAT, right, new Map(Object.entries(nodes))] as const),
    );
    expect([match, unknown.size]).toEqual([[], 0]);
    expect(Object.fromEntries(suspects)).toEqual({ n1: [bucketOf('app', 'c')], n2: [bucketOf('app', 'c')] });
  });

  it('says match of those alone whose digest is that of the database, at its version and history', () => {
    const nodes: Record<string, HeldByNode> = {
      ...{ n1: held(right), n2: held(right, { chain: 'd'.repeat(64) }), n3: held(wrong, { mute: true }) },
      n4: { root: { known: false, reason: 'not-reached' }, cuts: undefined },
    };
    const { match, suspects, unknown } = compareWithReference(
      ...([PIN, DIGEST_FORMAT, right, new Map(Object.entries(nodes))] as const),
    );
    expect([match, suspects.size]).toEqual([['n1'], 0]);
    expect(Object.fromEntries(unknown)).toEqual({ n2: 'other-chain', n3: 'undecided', n4: 'not-reached' });
  });

  it('stops suspecting those that the log says are right', () => {
    const suspicion = { buckets: new Map(Object.entries({ n1: [1], n2: [2] })), keys: [] };
    const outcome = (nodeId: string, result: NodeOutcome['result']): NodeOutcome => ({
      ...{ nodeId, result, reason: null, differences: [], more: 0, keys: { listed: 0, buckets: 0 } },
    });
    const left = stillSuspected(suspicion, [outcome('n1', 'match'), outcome('n2', 'mismatch')]);
    expect([...left.buckets.keys()]).toEqual(['n2']);
    expect(stillSuspected(left, [outcome('n2', 'match')])).toBe(NO_SUSPICION);
    expect(stillSuspected(left, [outcome('n2', 'unknown')])).toEqual(left);
  });
});

describe('its pace', () => {
  it('is the interval, or what costs 1 %, or a tenth for whoever waits', () => {
    const pace = new ReferencePace(60_000);
    expect(pace.isDue(0, 'regular')).toBe(true);
    pace.took({ endedMs: 0, busyMs: 100 });
    expect(pace.isDue(59_999, 'regular')).toBe(false);
    expect(pace.isDue(60_000, 'regular')).toBe(true);
    expect(pace.isDue(999, 'asked')).toBe(false);
    expect(pace.isDue(1_000, 'asked')).toBe(true);
    pace.took({ endedMs: 0, busyMs: 10_000 });
    expect(pace.isDue(999_999, 'regular')).toBe(false);
    expect(pace.isDue(1_000_000, 'regular')).toBe(true);
    expect(pace.speaksForMs).toBe(3_000_000);
  });
});
