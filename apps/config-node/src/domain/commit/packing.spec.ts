import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '#libs/contracts';
import { packChanges } from './packing.js';

function change(version: number, value: Buffer): Change {
  return {
    version,
    term: 1,
    chain: 'a'.repeat(64),
    kind: 'change',
    author: null,
    comment: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    operations: [
      { op: 'put', namespace: 'app', key: 'k', value, contentType: 'text/plain', checksum: 'sha256:0' },
    ],
  };
}

describe('packChanges', () => {
  it('keeps the order, cuts at the limit, and stops at what is too large', () => {
    const size = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constant(3_000));
    fc.assert(
      fc.property(fc.array(size, { maxLength: 40 }), fc.boolean(), (sizes, binary) => {
        const changes = sizes.map((bytes, i) => change(i + 1, Buffer.alloc(bytes, binary ? 0xff : 0x01)));
        const messages = packChanges(changes, 2_500);
        const packed = messages.flat().map((wire) => wire.version);
        const tooLarge = changes.findIndex((c) => {
          const alone = packChanges([c], 2_500)[0];
          return alone?.length === 0;
        });
        expect(packed).toEqual(changes.slice(0, tooLarge < 0 ? undefined : tooLarge).map((c) => c.version));
        expect(messages.length).toBeGreaterThan(0);
        for (const message of messages) {
          expect(message.reduce((sum, wire) => sum + JSON.stringify(wire).length, 0)).toBeLessThanOrEqual(
            2_500,
          );
        }
      }),
    );
  });

  it('tells the head alone when the first is too large', () => {
    expect(packChanges([change(1, Buffer.alloc(300_000)), change(2, Buffer.alloc(1))])).toEqual([[]]);
  });
});
