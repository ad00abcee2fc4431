import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '#libs/kernel';
import { checksumOf, encodeSnapshot, pinState, SnapshotDamaged, StateBuilder } from '#libs/replica';
import { ReplicaHost } from '../replica/replica-host.js';
import { PeerClient } from './peer-client.js';
import { chooseCoding, compressed, SNAPSHOT_CODINGS } from './snapshot-coding.js';

async function snapshot(keys: number): Promise<Buffer> {
  const host = new ReplicaHost('node-1', systemClock);
  const state = new StateBuilder();
  for (let i = 0; i < keys; i++) {
    const value = Buffer.from(`value ${i}`.repeat(20));
    const content = {
      contentType: 'text/plain',
      checksum: checksumOf(value),
      updatedAt: '2026-01-01T00:00:00.000Z',
    };
    state.add({ namespace: 'app', key: `key-${i}`, value, version: i + 1, ...content });
  }
  host.load({ clusterId: 'c', version: keys, chain: 'a'.repeat(64), term: 1 }, state, 'compacted');
  const pinned = await pinState(host.replica, async () => undefined);
  if (pinned === undefined) throw new Error('nothing changes it');
  return Buffer.concat([...encodeSnapshot(pinned)]);
}

describe('chooseCoding', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['identity, br', undefined],
    ['gzip, deflate', 'gzip'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['ZSTD;q=0.5, gzip', 'zstd'],
    ['zstd;q=0, gzip;q=1.0', 'gzip'],
  ] as const)('%s', (accepted, coding) => {
    expect(chooseCoding(accepted)).toBe(coding);
  });
});

describe('a snapshot on its way', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close().closeAllConnections();
  });

  async function serve(coding: string | undefined, body: Buffer, cutAt = body.length): Promise<string> {
    const listening = createServer((_request, response) => {
      const headers = coding === undefined ? {} : { 'content-encoding': coding };
      response.writeHead(200, {
        ...headers,
        ...(cutAt < body.length ? {} : { 'content-length': body.length }),
      });
      // Ended well as far as HTTP goes: only what is inside can tell that something is missing.
      response.end(body.subarray(0, cutAt));
    });
    servers.push(listening);
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  }

  it.each([...SNAPSHOT_CODINGS, undefined])('arrives whole: %s', async (coding) => {
    const plain = await snapshot(3_000);
    const parts = coding === undefined ? [plain] : await compressed(Readable.from([plain]), coding).toArray();
    const body = Buffer.concat(parts);
    if (coding !== undefined) expect(body.length).toBeLessThan(plain.length / 3);
    const { header, state } = await new PeerClient('key').snapshot(await serve(coding, body));
    expect([header.version, header.entries, state.entries]).toEqual([3_000, 3_000, 3_000]);
  });

  it.each([
    ['zstd', zstdCompressSync],
    ['gzip', gzipSync],
    [undefined, (plain: Buffer) => plain],
  ] as const)('is refused when it is cut short or altered: %s', async (coding, compress) => {
    const body = compress(await snapshot(3_000));
    for (const cutAt of [0, 10, body.length >> 1, body.length - 1]) {
      const address = await serve(coding, body, cutAt);
      await expect(new PeerClient('key').snapshot(address), `cut at ${cutAt}`).rejects.toThrow(
        SnapshotDamaged,
      );
    }
    const altered = Buffer.from(body);
    altered.writeUInt8(altered.readUInt8(body.length >> 1) ^ 1, body.length >> 1);
    const address = await serve(coding, altered);
    await expect(new PeerClient('key').snapshot(address)).rejects.toThrow(SnapshotDamaged);
  });

  it('is refused when it is larger than allowed, however small its answer, or in a coding of its own', async () => {
    const plain = await snapshot(3_000);
    const address = await serve('zstd', zstdCompressSync(plain));
    await expect(new PeerClient('key', plain.length - 1).snapshot(address)).rejects.toThrow(SnapshotDamaged);
    expect((await new PeerClient('key', plain.length).snapshot(address)).header.entries).toBe(3_000);
    await expect(new PeerClient('key').snapshot(await serve('br', plain))).rejects.toThrow('not asked for');
  });
});
