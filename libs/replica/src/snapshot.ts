import { createHash, type Hash } from 'node:crypto';
import { DIGEST_FORMAT } from './digest/digest.js';
import type { Entry, LogPosition } from './entry.js';
import { type ListPage, type Replica, StateBuilder } from './replica.js';

/*
 * A whole state as bytes:
 *   magic "HOLDFAST", format u32, length u32 and JSON of the header,
 *   per entry: length u32, then its fields, each with its own length,
 *   u32 0, SHA-256 over all that went before.
 * Numbers are big-endian. Entries come by namespace and key, so that loading them is appending.
 */
const MAGIC = Buffer.from('HOLDFAST', 'latin1');
const FORMAT = 1;
const TRAILER_BYTES = 32;
const CHUNK_BYTES = 256 * 1024;
const PAGE_ENTRIES = 1_000;
const MAX_RECORD_BYTES = 16 * 1024 * 1024;
const FIXED_RECORD_BYTES = 2 + 2 + 1 + 8 + 1 + 32 + 4;

/** The digest of a whole state, and by which algorithm. */
export interface StateHash {
  format: number;
  hash: string;
}

export interface SnapshotHeader extends LogPosition {
  clusterId: string | null;
  entries: number;
  /** What the entries must come to. Absent in snapshots of earlier releases; one of another algorithm says nothing. */
  digest?: StateHash | undefined;
  /** The highest version that the node ever held, also of a history that it discarded. Absent in earlier releases. */
  highestVersion?: number | undefined;
}

/** The snapshot cannot be used: cut short, altered, or of a format that this version does not know. */
export class SnapshotDamaged extends Error {
  override readonly name = 'SnapshotDamaged';
}

/** A state pinned at one version: references to immutable entries, while the replica moves on. */
export interface PinnedState {
  position: LogPosition;
  digest?: StateHash | undefined;
  highestVersion?: number | undefined;
  pages: Entry[][];
}

/**
 * Collects the replica's state at its present version, giving way between pages. Undefined when the window was
 * overtaken meanwhile: try again.
 */
export async function pinState(
  replica: Replica,
  giveWay: () => Promise<void>,
): Promise<PinnedState | undefined> {
  const { clusterId, version, chain, term } = replica;
  const digest: StateHash = { format: DIGEST_FORMAT, hash: replica.digest.hash };
  const pages: Entry[][] = [];
  for (const { name } of replica.namespaces()) {
    for (let after: string | undefined; ; ) {
      const page: ListPage | 'expired' = replica.list({
        namespace: name,
        prefix: '',
        after,
        limit: PAGE_ENTRIES,
        maxBytes: Number.POSITIVE_INFINITY,
        atVersion: version,
      });
      if (page === 'expired') return undefined;
      if (page.entries.length > 0) pages.push(page.entries);
      after = page.entries.at(-1)?.key;
      if (!page.more) break;
      await giveWay();
    }
    await giveWay();
  }
  return { position: { clusterId, version, chain, term }, digest, pages };
}

/** The bytes of a snapshot in chunks of about 256 KiB; the caller gives way between them. */
export function* encodeSnapshot(state: PinnedState): Generator<Buffer> {
  const hash = createHash('sha256');
  const chunks = new ChunkWriter(hash);
  const entries = state.pages.reduce((count, page) => count + page.length, 0);
  const { position, digest, highestVersion } = state;
  const header: SnapshotHeader = { ...position, entries, digest, highestVersion };
  chunks.write(encodeHeader(header));
  for (const page of state.pages) {
    for (const entry of page) {
      chunks.write(encodeEntry(entry));
      if (chunks.full) yield chunks.flush();
    }
  }
  chunks.write(Buffer.alloc(4));
  yield chunks.flush();
  yield hash.digest();
}

function encodeHeader(header: SnapshotHeader): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const fixed = Buffer.alloc(8);
  fixed.writeUInt32BE(FORMAT, 0);
  fixed.writeUInt32BE(json.length, 4);
  return Buffer.concat([MAGIC, fixed, json]);
}

function encodeEntry(entry: Entry): Buffer {
  const namespaceBytes = Buffer.byteLength(entry.namespace);
  const keyBytes = Buffer.byteLength(entry.key);
  const typeBytes = Buffer.byteLength(entry.contentType);
  const timeBytes = Buffer.byteLength(entry.updatedAt);
  const length = FIXED_RECORD_BYTES + namespaceBytes + keyBytes + typeBytes + timeBytes + entry.value.length;
  const record = Buffer.allocUnsafe(4 + length);
  let at = record.writeUInt32BE(length, 0);
  at = record.writeUInt16BE(namespaceBytes, at);
  at += record.write(entry.namespace, at);
  at = record.writeUInt16BE(keyBytes, at);
  at += record.write(entry.key, at);
  at = record.writeUInt8(typeBytes, at);
  at += record.write(entry.contentType, at);
  at = record.writeDoubleBE(entry.version, at);
  at = record.writeUInt8(timeBytes, at);
  at += record.write(entry.updatedAt, at);
  at += record.write(entry.checksum.slice('sha256:'.length), at, 'hex');
  at = record.writeUInt32BE(entry.value.length, at);
  entry.value.copy(record, at);
  return record;
}

class ChunkWriter {
  private parts: Buffer[] = [];
  private bytes = 0;

  constructor(private readonly hash: Hash) {}

  get full(): boolean {
    return this.bytes >= CHUNK_BYTES;
  }

  write(part: Buffer): void {
    this.parts.push(part);
    this.bytes += part.length;
  }

  flush(): Buffer {
    const chunk = Buffer.concat(this.parts, this.bytes);
    this.parts = [];
    this.bytes = 0;
    this.hash.update(chunk);
    return chunk;
  }
}

/** Decodes a snapshot as its bytes arrive. Nothing may be used before `finish` has found the whole of it intact. */
export class SnapshotDecoder {
  private readonly state = new StateBuilder();
  private readonly hash = createHash('sha256');
  private readonly texts = new Map<string, string>();
  private header: SnapshotHeader | undefined;
  private rest: Buffer = Buffer.alloc(0);
  private trailer: Buffer | undefined;

  push(chunk: Buffer): void {
    if (this.trailer !== undefined) {
      this.trailer = Buffer.concat([this.trailer, chunk]);
      if (this.trailer.length > TRAILER_BYTES) throw new SnapshotDamaged('bytes after the end');
      return;
    }
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const used = this.header === undefined ? this.readHeader(bytes) : 0;
    const end = this.header === undefined ? 0 : this.readRecords(bytes, used);
    this.hash.update(bytes.subarray(0, end));
    if (this.trailer === undefined) this.rest = Buffer.from(bytes.subarray(end));
  }

  finish(): { header: SnapshotHeader; state: StateBuilder } {
    if (this.header === undefined || this.trailer === undefined) throw new SnapshotDamaged('it is cut short');
    if (!this.hash.digest().equals(this.trailer)) throw new SnapshotDamaged('its checksum does not match');
    if (this.state.entries !== this.header.entries) throw new SnapshotDamaged('entries are missing');
    const { digest } = this.header;
    if (digest?.format === DIGEST_FORMAT && digest.hash !== this.state.digest) {
      throw new SnapshotDamaged('its entries are not those of its digest');
    }
    return { header: this.header, state: this.state };
  }

  /** Bytes used; 0 while the header is not complete. */
  private readHeader(bytes: Buffer): number {
    const known = Math.min(bytes.length, MAGIC.length);
    if (!bytes.subarray(0, known).equals(MAGIC.subarray(0, known))) {
      throw new SnapshotDamaged('this is not a snapshot');
    }
    if (bytes.length < 16) return 0;
    const format = bytes.readUInt32BE(8);
    if (format !== FORMAT) throw new SnapshotDamaged(`format ${format} is not known`);
    const end = 16 + bytes.readUInt32BE(12);
    if (end > MAX_RECORD_BYTES) throw new SnapshotDamaged('its header is too long');
    if (bytes.length < end) return 0;
    this.header = parseHeader(bytes.toString('utf8', 16, end));
    return end;
  }

  /** Index behind the last whole record. */
  private readRecords(bytes: Buffer, from: number): number {
    let at = from;
    while (at + 4 <= bytes.length) {
      const length = bytes.readUInt32BE(at);
      if (length === 0) {
        this.trailer = Buffer.from(bytes.subarray(at + 4));
        if (this.trailer.length > TRAILER_BYTES) throw new SnapshotDamaged('bytes after the end');
        return at + 4;
      }
      if (length < FIXED_RECORD_BYTES || length > MAX_RECORD_BYTES) {
        throw new SnapshotDamaged('a record has an impossible length');
      }
      if (at + 4 + length > bytes.length) break;
      this.state.add(this.readEntry(bytes, at + 4, at + 4 + length));
      at += 4 + length;
    }
    return at;
  }

  private readEntry(bytes: Buffer, from: number, end: number): Entry {
    let at = from;
    const field = (lengthBytes: 1 | 2 | 4) => {
      const start = at + lengthBytes;
      const stop = start + (start <= end ? bytes.readUIntBE(at, lengthBytes) : 0);
      if (stop > end) throw new SnapshotDamaged('a field reaches beyond its record');
      at = stop;
      return start;
    };
    const text = (start: number) => bytes.toString('utf8', start, at);
    const namespace = this.shared(text(field(2)));
    const key = text(field(2));
    const contentType = this.shared(text(field(1)));
    if (at + 8 > end) throw new SnapshotDamaged('a record is cut short');
    const version = bytes.readDoubleBE(at);
    at += 8;
    const updatedAt = text(field(1));
    if (at + 36 > end) throw new SnapshotDamaged('a record is cut short');
    const checksum = `sha256:${bytes.toString('hex', at, at + 32)}`;
    at += 32;
    const start = field(4);
    if (at !== end) throw new SnapshotDamaged('a record is longer than its fields');
    // A copy of its own: a slice would keep the whole chunk alive as long as any of its values.
    const value = Buffer.allocUnsafeSlow(end - start);
    bytes.copy(value, 0, start, end);
    return { namespace, key, value, contentType, version, checksum, updatedAt };
  }

  /** One string for equal texts: namespaces and types repeat in every entry. */
  private shared(text: string): string {
    const known = this.texts.get(text);
    if (known !== undefined) return known;
    if (this.texts.size < 10_000) this.texts.set(text, text);
    return text;
  }
}

function parseHeader(json: string): SnapshotHeader {
  let header: Partial<SnapshotHeader>;
  try {
    header = JSON.parse(json);
  } catch (cause) {
    throw new SnapshotDamaged('its header is not JSON', { cause });
  }
  const { clusterId, version, chain, term, entries, digest, highestVersion } = header;
  const whole = (n: unknown): n is number => Number.isSafeInteger(n);
  if (!whole(version) || !whole(term) || !whole(entries) || typeof chain !== 'string') {
    throw new SnapshotDamaged('its header is not complete');
  }
  const highest = whole(highestVersion) ? { highestVersion } : {};
  return { clusterId: clusterId ?? null, version, chain, term, entries, digest, ...highest };
}
