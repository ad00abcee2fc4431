import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Change, changeFromWire, changeToWire, WireChange } from './change.js';

const operation = fc.oneof(
  fc.record({
    op: fc.constant('put' as const),
    namespace: fc.constant('shop'),
    key: fc.string({ minLength: 1 }),
    value: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    contentType: fc.constant('text/plain'),
    checksum: fc.constant(`sha256:${'0'.repeat(64)}`),
  }),
  fc.record({
    op: fc.constant('delete' as const),
    namespace: fc.constant('shop'),
    key: fc.string({ minLength: 1 }),
  }),
);

describe('a change on the wire', () => {
  it('comes back byte for byte, whatever its values hold', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 5 }), (operations) => {
        const change: Change = {
          version: 7,
          term: 2,
          chain: 'ab'.repeat(32),
          kind: 'change',
          author: null,
          comment: 'why',
          createdAt: '2026-01-01T00:00:00.000Z',
          operations,
        };
        const wire = WireChange.parse(JSON.parse(JSON.stringify(changeToWire(change))));
        expect(changeFromWire(wire)).toEqual(change);
      }),
      { numRuns: 2_000 },
    );
  });
});
