import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '#libs/contracts';
import { checksumOf } from '../chain.js';
import type { Entry } from '../entry.js';
import { Replica, StateBuilder } from '../replica.js';
import { bucketOf, DIGEST_BUCKETS } from './digest.js';
import { Scrub, type ScrubFinding } from './scrub.js';

const KEYS = 40;
const keyOf = (i: number) => `k${i}`;

function put(i: number, value: string): Change['operations'][number] {
  const bytes = Buffer.from(value);
  const checksum = checksumOf(bytes);
  return { op: 'put', namespace: 'app', key: keyOf(i), value: bytes, contentType: 'text/plain', checksum };
}

function change(replica: Replica, operations: Change['operations']): void {
  replica.applyOwn({
    version: replica.version + 1,
    term: 1,
    chain: String(replica.version + 1).padStart(64, '0'),
    kind: 'change',
    author: null,
    comment: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    operations,
  });
}

function filled(): Replica {
  const replica = new Replica();
  for (let i = 0; i < KEYS; i++) change(replica, [put(i, `value ${i}`)]);
  return replica;
}

/** One whole round, with something happening before each step. */
function round(replica: Replica, maxBytes: number, between: () => void = () => {}): ScrubFinding[] {
  const scrub = new Scrub(replica);
  const findings: ScrubFinding[] = [];
  for (let finished = 0; finished < DIGEST_BUCKETS; ) {
    between();
    const step = scrub.scan(maxBytes);
    findings.push(...step.findings);
    if (step.finished !== undefined && step.finished !== finished++) throw new Error('out of order');
  }
  return findings;
}

const entryAt = (replica: Replica, i: number) => replica.get('app', keyOf(i)) as Entry;

describe('the scrub', () => {
  it('finds any single bit of any value that was altered since, and says where', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.nat(KEYS - 1), fc.nat(), (i, bit) => {
        const replica = filled();
        const { value, version } = entryAt(replica, i);
        const at = (bit >> 3) % value.length;
        value[at] = (value[at] as number) ^ (1 << (bit & 7));
        const bucket = bucketOf('app', keyOf(i));
        expect(round(replica, 1)).toEqual([
          { kind: 'value', bucket, namespace: 'app', key: keyOf(i), version },
        ]);
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['version', { version: 99 }],
    ['content type', { contentType: 'application/json' }],
    ['checksum', { checksum: checksumOf(Buffer.from('another')) }],
    ['key', { key: 'another' }],
  ])('finds an entry whose %s was altered since', (_field, altered) => {
    const replica = filled();
    Object.assign(entryAt(replica, 7), altered);
    const bucket = bucketOf('app', keyOf(7));
    const kinds = round(replica, 1e9).map((finding) => `${finding.kind} ${finding.bucket}`);
    expect(kinds).toContain(`bucket ${bucket}`);
  });

  it('finds it again in the next round, and nothing more after the key was written anew', () => {
    const replica = filled();
    entryAt(replica, 3).value.write('X');
    expect(round(replica, 1e9)).toHaveLength(1);
    expect(round(replica, 1e9)).toHaveLength(1);
    change(replica, [put(3, 'new')]);
    expect(round(replica, 1e9)).toEqual([]);
  });

  it('raises no false alarm whatever is written, deleted or loaded while it goes on', {
    timeout: 60_000,
  }, () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.tuple(fc.constant('put'), fc.nat(KEYS - 1)) },
      { weight: 4, arbitrary: fc.tuple(fc.constant('delete'), fc.nat(KEYS - 1)) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('load'), fc.nat(KEYS - 1)) },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 50 }), (steps) => {
        const replica = filled();
        let turn = 0;
        const happen = () => {
          const [what, i] = steps[turn++ % steps.length] as [string, number];
          if (what === 'put') change(replica, [put(i, `turn ${turn}`)]);
          else if (what === 'delete') change(replica, [{ op: 'delete', namespace: 'app', key: keyOf(i) }]);
          else load(replica);
        };
        expect(round(replica, 1, happen)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it('takes a step of at least one entry and about as many bytes as allowed', () => {
    const replica = new Replica();
    const sameBucket: number[] = [];
    for (let i = 0; sameBucket.length < 3; i++) if (bucketOf('app', keyOf(i)) === 5) sameBucket.push(i);
    change(
      replica,
      sameBucket.map((i) => put(i, 'x'.repeat(9_000))),
    );
    const scrub = new Scrub(replica);
    for (let bucket = 0; bucket < 5; bucket++) expect(scrub.scan(1).finished).toBe(bucket);
    expect(scrub.scan(1).finished).toBeUndefined();
    expect(scrub.scan(10_000).finished).toBeUndefined();
    expect(scrub.scan(10_000).finished).toBe(5);
  });
});

/** The same state, loaded anew. */
function load(replica: Replica): void {
  const { clusterId, version, chain, term } = replica;
  const page = replica.list({ namespace: 'app', prefix: '', limit: 1e9, maxBytes: 1e9 });
  const state = new StateBuilder();
  if (page !== 'expired') for (const entry of page.entries) state.add(entry);
  replica.load({ clusterId, version, chain, term }, state);
}
