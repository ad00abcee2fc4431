import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COUNTER_MAX } from '../bus/counters.js';
import type { Change, Operation } from '../change.js';
import { keyFault, namespaceFault } from '../identifiers.js';
import { LIMITS } from '../limits.js';
import {
  CHANGE_FRAME_LIMITS,
  CHANGE_PAGE_BYTES,
  type ChangeFrame,
  changeFrameParts,
  decodeChanges,
  encodeChanges,
  FrameDamaged,
  FrameDecoder,
  noticeFrame,
} from './change-frames.js';
import { CONTENT_TYPES } from './content-type.js';

const CHECKSUM = `sha256:${'0'.repeat(64)}`;

function changeOf(operations: Operation[], part: Partial<Change> = {}): Change {
  return {
    version: 7,
    term: 2,
    chain: 'ab'.repeat(32),
    kind: 'change',
    author: null,
    comment: 'why',
    createdAt: '2026-01-01T00:00:00.000Z',
    operations,
    ...part,
  };
}

function put(key: string, value: Buffer, contentType = 'text/plain'): Operation {
  return { op: 'put', namespace: 'shop', key, value, contentType, checksum: CHECKSUM };
}

const bytes = fc.uint8Array({ maxLength: 64 }).map((value) => Buffer.from(value));
const key = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.string({ unit: fc.constantFrom('"', '\\', '\u2028', '€') }),
);
const operation = fc.oneof(
  fc.tuple(key, bytes, fc.constantFrom(...CONTENT_TYPES)).map((put_) => put(...put_)),
  key.map((name): Operation => ({ op: 'delete', namespace: 'shop', key: name })),
);
const change = fc
  .tuple(fc.array(operation, { maxLength: 5 }), fc.option(fc.string({ unit: 'binary' })))
  .map(([operations, comment]) => changeOf(operations, { comment }));
const lost = fc.constant(changeOf([], { kind: 'lost', lost: { from: 5, to: 7 } }));
const frame: fc.Arbitrary<ChangeFrame> = fc.oneof(
  change.map((one) => ({ change: one })),
  lost.map((one) => ({ change: one })),
  fc.constant({ head: { term: 1, version: 2, chain: 'cd'.repeat(32) }, leaderId: 'node-1' }),
  fc.constant({ reset: { version: 4, reason: 'compacted' as const } }),
);

const encoded = (one: ChangeFrame) =>
  'change' in one ? Buffer.concat(changeFrameParts(one.change)) : noticeFrame(one);

/** A thousand operations with the longest keys and notes, and 4 MiB of values. */
function worstChange(): Change {
  const notes = '\u0001'.repeat(LIMITS.metadataBytes);
  const namespace = 'n'.repeat(LIMITS.namespaceChars);
  expect(namespaceFault(namespace)).toBeUndefined();
  const size = Math.floor(LIMITS.changeSetBytes / LIMITS.changeSetOperations);
  const operations = Array.from({ length: LIMITS.changeSetOperations }, (_, i): Operation => {
    const name = `${'\\"'.repeat(LIMITS.keyBytes / 2 - 2)}${String(i).padStart(4, '"')}`;
    expect(keyFault(name)).toBeUndefined();
    return { ...put(name, Buffer.alloc(size), 'application/octet-stream'), namespace };
  });
  const numbers = { version: COUNTER_MAX, term: COUNTER_MAX };
  return changeOf(operations, { ...numbers, author: notes, comment: notes });
}

describe('finding 1: frames of changes', () => {
  it('carry any change byte for byte, however the bytes are cut on their way', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 5 }), fc.array(fc.nat(200)), (frames, cuts) => {
        const stream = Buffer.concat(frames.map(encoded));
        const decoder = new FrameDecoder();
        const got: ChangeFrame[] = [];
        let from = 0;
        for (const cut of [...cuts, stream.length]) {
          got.push(...decoder.push(stream.subarray(from, from + cut)));
          from += cut;
        }
        expect(got).toEqual(frames);
        expect(decoder.pendingBytes).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });

  it('have room for every legal change set at its worst', () => {
    const worst = worstChange();
    const parts = changeFrameParts(worst);
    const headerBytes = (parts[0] as Buffer).length - 8;
    expect(headerBytes).toBeLessThanOrEqual(CHANGE_FRAME_LIMITS.headerBytes);
    expect(decodeChanges(Buffer.concat(parts))).toEqual([worst]);
    const binaries = ['a', 'b', 'c', 'd'].map((name) => put(name, Buffer.alloc(LIMITS.valueBytes)));
    const zeros = encodeChanges([changeOf(binaries)]);
    expect(zeros.length).toBeLessThan(LIMITS.changeSetBytes + 2_000);
    expect(decodeChanges(zeros)).toEqual([changeOf(binaries)]);
  });

  it('have room for every page of the log at its worst', () => {
    const notes = '\u0001'.repeat(LIMITS.metadataBytes);
    // As many operations as the bytes of a page allow, each with a key that costs little and a header that costs much.
    const small = Math.floor(LIMITS.batchBytes / (LIMITS.loggedOperationBytes + 1));
    const perChange = Math.floor(small / (LIMITS.pageChanges - 1));
    const later = changeOf(
      Array.from({ length: perChange }, () => put('"', Buffer.alloc(0), 'text/x-java-properties')),
      { author: notes, comment: notes },
    );
    const page = [worstChange(), ...Array.from({ length: LIMITS.pageChanges - 1 }, () => later)];
    expect(encodeChanges(page).length).toBeLessThanOrEqual(CHANGE_PAGE_BYTES);
  });

  it('are known answers', () => {
    const delete_: Operation = { op: 'delete', namespace: 'shop', key: 'old' };
    const header =
      '{"change":{"version":7,"term":2,"chain":"' +
      'ab'.repeat(32) +
      '","kind":"change","author":null,"comment":"why","createdAt":"2026-01-01T00:00:00.000Z","operations":[' +
      `{"op":"put","namespace":"shop","key":"k","contentType":"text/plain","checksum":"${CHECKSUM}","size":3},` +
      '{"op":"delete","namespace":"shop","key":"old"}]}}';
    const lengths = Buffer.from([0, 0, header.length >> 8, header.length & 0xff, 0, 0, 0, 3]);
    const known = Buffer.concat([lengths, Buffer.from(header), Buffer.from([0, 1, 2])]);
    const asked = changeOf([put('k', Buffer.from([0, 1, 2])), delete_]);
    expect(encodeChanges([asked]).toString('latin1')).toBe(known.toString('latin1'));
    expect(decodeChanges(known)).toEqual([asked]);
  });

  it.each([
    ['a length that no change set has', Buffer.from('ffffffff00000000', 'hex')],
    ['a header that is not JSON', Buffer.from('0000000100000000ff', 'hex')],
    ['a header of another shape', Buffer.from('00000002000000007b7d', 'hex')],
    ['a frame that is cut off', encodeChanges([changeOf([put('k', Buffer.alloc(9))])]).subarray(0, -1)],
    ['a notice in a page', noticeFrame({ reset: { version: 1, reason: 'compacted' } })],
  ])('refuse %s', (_what, damaged) => {
    expect(() => decodeChanges(damaged)).toThrow(FrameDamaged);
  });

  it('refuse values that are shorter than their sizes', () => {
    const whole = encodeChanges([changeOf([put('k', Buffer.alloc(9))])]);
    whole.writeUInt32BE(8, 4);
    expect(() => decodeChanges(whole.subarray(0, -1))).toThrow('the values take 9 bytes');
  });
});
