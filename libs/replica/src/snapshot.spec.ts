import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksumOf } from './chain.js';
import { Replica, StateBuilder } from './replica.js';
import { encodeSnapshot, pinState, SnapshotDamaged, SnapshotDecoder, type StateHash } from './snapshot.js';

const giveWay = async () => {};
const POSITION = { clusterId: 'c-1', version: 12, chain: 'ab'.repeat(32), term: 3 };

function replicaOf(entries: { namespace: string; key: string; value: Buffer }[]): Replica {
  const state = new StateBuilder();
  for (const [index, { namespace, key, value }] of entries.entries()) {
    state.add({
      namespace,
      key,
      value,
      contentType: 'application/json',
      version: index + 1,
      checksum: checksumOf(value),
      updatedAt: new Date(index).toISOString(),
    });
  }
  const replica = new Replica();
  replica.load(POSITION, state);
  return replica;
}

async function encode(replica: Replica): Promise<Buffer> {
  const pinned = await pinState(replica, giveWay);
  if (pinned === undefined) throw new Error('the window was overtaken');
  return Buffer.concat([...encodeSnapshot(pinned)]);
}

function decode(bytes: Buffer, chunkBytes = bytes.length): Replica {
  const decoder = new SnapshotDecoder();
  for (let at = 0; at < bytes.length; at += chunkBytes) decoder.push(bytes.subarray(at, at + chunkBytes));
  const { header, state } = decoder.finish();
  const replica = new Replica();
  replica.load(header, state);
  return replica;
}

function dump(replica: Replica) {
  return replica.namespaces().map(({ name }) => {
    const page = replica.list({ namespace: name, prefix: '', limit: 1e9, maxBytes: 1e9 });
    return page === 'expired' ? page : page.entries;
  });
}

const small = replicaOf([
  { namespace: 'app', key: 'a', value: Buffer.from('1') },
  { namespace: 'app', key: 'ä/\u{1F600}', value: Buffer.alloc(0) },
  { namespace: 'zone', key: 'z', value: Buffer.from([0, 255, 254]) },
]);

describe('snapshot', () => {
  it('comes back as it was, however its bytes are cut', async () => {
    const entry = fc.record({
      namespace: fc.constantFrom('app', 'app.web', 'zone'),
      key: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
      value: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    });
    const entries = fc.uniqueArray(entry, { maxLength: 20, selector: (e) => `${e.namespace}\n${e.key}` });
    await fc.assert(
      fc.asyncProperty(entries, fc.integer({ min: 1, max: 300 }), async (drawn, chunkBytes) => {
        const replica = replicaOf(drawn);
        const loaded = decode(await encode(replica), chunkBytes);
        expect(dump(loaded)).toEqual(dump(replica));
        const { clusterId, version, chain, term } = loaded;
        expect({ clusterId, version, chain, term }).toEqual(POSITION);
      }),
      { numRuns: 300 },
    );
  });

  it('is found out when any one of its bytes is altered', async () => {
    const bytes = await encode(small);
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const altered = Buffer.from(bytes);
        altered[at] = (altered[at] as number) ^ mask;
        expect(() => decode(altered), `byte ${at} ^ ${mask}`).toThrow(SnapshotDamaged);
      }
    }
  });

  it('is found out when it is cut short or has something behind it', async () => {
    const bytes = await encode(small);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decode(bytes.subarray(0, length)), `${length} bytes`).toThrow(SnapshotDamaged);
    }
    expect(() => decode(Buffer.concat([bytes, Buffer.from([0])]))).toThrow(SnapshotDamaged);
  });

  it('holds one version although changes go on while it is collected', async () => {
    const replica = replicaOf(
      Array.from({ length: 2_500 }, (_, i) => ({
        namespace: i % 2 ? 'app' : 'zone',
        key: `k${String(i).padStart(5, '0')}`,
        value: Buffer.from('old'),
      })),
    );
    const before = dump(replica);
    let pauses = 0;
    const pinned = await pinState(replica, async () => {
      const version = replica.version + 1;
      const value = Buffer.from('new');
      replica.applyOwn({
        version,
        term: 3,
        chain: String(version).padStart(64, '0'),
        kind: 'change',
        author: null,
        comment: null,
        createdAt: '2026-01-01T00:00:00.000Z',
        operations: [
          { op: 'delete', namespace: 'zone', key: 'k00000' },
          {
            op: 'put',
            namespace: 'app',
            key: `k${String(++pauses).padStart(5, '0')}`,
            value,
            contentType: 'text/plain',
            checksum: checksumOf(value),
          },
        ],
      });
    });
    expect(pauses).toBeGreaterThan(2);
    expect(pinned?.position.version).toBe(POSITION.version);
    const loaded = decode(Buffer.concat([...encodeSnapshot(pinned ?? { position: POSITION, pages: [] })]));
    expect(dump(loaded)).toEqual(before);
  });

  it('must have the entries of its digest; one without, or with one of another algorithm, is loaded', async () => {
    const pinned = await pinState(small, giveWay);
    if (pinned === undefined) throw new Error('the window was overtaken');
    const loaded = (digest: StateHash | undefined) =>
      decode(Buffer.concat([...encodeSnapshot({ ...pinned, digest })])).digest;
    expect(pinned.digest).toEqual({ format: 1, hash: small.digest.hash });
    expect(() => loaded({ format: 1, hash: 'ab'.repeat(32) })).toThrow('not those of its digest');
    expect(loaded({ format: 2, hash: 'ab'.repeat(32) })).toEqual(small.digest);
    expect(loaded(undefined)).toEqual(small.digest);
  });

  it('refuses a format from the future', async () => {
    const bytes = await encode(small);
    bytes.writeUInt32BE(2, 8);
    expect(() => decode(bytes)).toThrow('format 2 is not known');
  });
});
