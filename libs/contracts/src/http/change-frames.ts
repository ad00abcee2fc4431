import { z } from 'zod';
import { type Change, type Operation, WireChange, WireOperation } from '../change.js';
import { LIMITS } from '../limits.js';
import { LogNotice } from './internal-api.js';

/**
 * Changes between processes: frames, one after the other, in which values are bytes and not text.
 *
 *     4 bytes  length of the header, big-endian
 *     4 bytes  length of the body, big-endian
 *     header   JSON: a change whose puts have `size` in place of `value`, or a notice of a followed log
 *     body     the values of the puts, in the order of the operations
 *
 * In JSON a value can take twice its bytes and has to be escaped and scanned; here a change takes its values and a
 * header, whose longest form follows from the limits of the public interface.
 */
export const CHANGE_FRAMES_TYPE = 'application/vnd.holdfast.changes';

export type ChangeFrame = { change: Change } | LogNotice;

/** The bytes are no frames, or longer than any change set is. */
export class FrameDamaged extends Error {
  override readonly name = 'FrameDamaged';
}

const LENGTHS_BYTES = 8;
/** The longest escape of a byte in JSON: a control character becomes six. */
const CONTROL_ESCAPE = 6;
/** A key has no control characters: its quotes and backslashes take two bytes. */
const KEY_ESCAPE = 2;
/** Names of fields, numbers, a checksum, a type, times and what stands between them. */
const OPERATION_FIELDS_BYTES = 256;
const CHANGE_FIELDS_BYTES = 512;

const OPERATION_HEADER_BYTES = OPERATION_FIELDS_BYTES + LIMITS.namespaceChars + KEY_ESCAPE * LIMITS.keyBytes;
const NOTES_BYTES = CHANGE_FIELDS_BYTES + 2 * CONTROL_ESCAPE * LIMITS.metadataBytes;

/** The longest frame of a legal change set, in parts. */
export const CHANGE_FRAME_LIMITS = {
  headerBytes: NOTES_BYTES + LIMITS.changeSetOperations * OPERATION_HEADER_BYTES,
  bodyBytes: LIMITS.changeSetBytes,
} as const;

/**
 * The longest page of changes: a page ends at `pageChanges` and, beyond its first change, at `batchBytes`, of which every
 * operation counts as its key, its value and at least `loggedOperationBytes`.
 */
export const CHANGE_PAGE_BYTES =
  LENGTHS_BYTES +
  CHANGE_FRAME_LIMITS.headerBytes +
  CHANGE_FRAME_LIMITS.bodyBytes +
  LIMITS.pageChanges * (LENGTHS_BYTES + NOTES_BYTES) +
  LIMITS.batchBytes * Math.ceil(OPERATION_HEADER_BYTES / (LIMITS.loggedOperationBytes + LIMITS.keyBytes));

const Size = z.number().int().min(0).max(LIMITS.valueBytes);
const [WirePut, WireDelete] = WireOperation.options;
const PutHeader = WirePut.omit({ value: true, encoding: true }).extend({ size: Size });
const ChangeHeader = WireChange.extend({
  operations: z.array(z.discriminatedUnion('op', [PutHeader, WireDelete])),
});
const FrameHeader = z.union([z.object({ change: ChangeHeader }), LogNotice]);

/** The parts of the frame, to be written one after the other; the values are those of the change, not copies. */
export function changeFrameParts(change: Change): Buffer[] {
  const values: Buffer[] = [];
  const operations = change.operations.map((operation) => {
    if (operation.op === 'delete') return operation;
    const { value, ...put } = operation;
    values.push(value);
    return { ...put, size: value.length };
  });
  const bodyBytes = values.reduce((sum, value) => sum + value.length, 0);
  return [beginning({ change: { ...change, operations } }, bodyBytes), ...values];
}

export function noticeFrame(notice: LogNotice): Buffer {
  return beginning(notice, 0);
}

/** A page of changes as one piece. */
export function encodeChanges(changes: readonly Change[]): Buffer {
  return Buffer.concat(changes.flatMap(changeFrameParts));
}

/** Throws FrameDamaged unless the bytes are whole frames of changes, and of nothing else. */
export function decodeChanges(bytes: Buffer): Change[] {
  const decoder = new FrameDecoder();
  const frames = decoder.push(bytes);
  if (decoder.pendingBytes > 0) throw new FrameDamaged('the last frame is cut off');
  return frames.map((frame) => {
    if ('change' in frame) return frame.change;
    throw new FrameDamaged('a page of changes holds a notice');
  });
}

/** Takes bytes as they come and gives the frames that are complete. Values are copies. */
export class FrameDecoder {
  private chunks: Buffer[] = [];
  private held = 0;
  /** What the frame that has begun takes; known when its lengths are. */
  private needed = LENGTHS_BYTES;

  /** Bytes of a frame that is not complete yet. */
  get pendingBytes(): number {
    return this.held;
  }

  /** Throws FrameDamaged; the decoder is of no use then. */
  push(chunk: Buffer): ChangeFrame[] {
    this.chunks.push(chunk);
    this.held += chunk.length;
    if (this.held < this.needed) return [];
    const bytes = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks, this.held);
    const frames: ChangeFrame[] = [];
    let from = 0;
    for (;;) {
      const left = bytes.length - from;
      this.needed = left < LENGTHS_BYTES ? LENGTHS_BYTES : frameBytes(bytes, from);
      if (left < this.needed) break;
      frames.push(frameOf(bytes.subarray(from, from + this.needed)));
      from += this.needed;
    }
    this.chunks = from === bytes.length ? [] : [bytes.subarray(from)];
    this.held = bytes.length - from;
    return frames;
  }
}

function beginning(header: z.input<typeof FrameHeader>, bodyBytes: number): Buffer {
  const text = JSON.stringify(header);
  const headerBytes = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(LENGTHS_BYTES + headerBytes);
  bytes.writeUInt32BE(headerBytes, 0);
  bytes.writeUInt32BE(bodyBytes, 4);
  bytes.write(text, LENGTHS_BYTES, 'utf8');
  return bytes;
}

function frameBytes(bytes: Buffer, from: number): number {
  const headerBytes = bytes.readUInt32BE(from);
  const bodyBytes = bytes.readUInt32BE(from + 4);
  if (headerBytes > CHANGE_FRAME_LIMITS.headerBytes || bodyBytes > CHANGE_FRAME_LIMITS.bodyBytes) {
    throw new FrameDamaged(`a frame of ${headerBytes} and ${bodyBytes} bytes is longer than any change set`);
  }
  return LENGTHS_BYTES + headerBytes + bodyBytes;
}

function frameOf(frame: Buffer): ChangeFrame {
  const bodyAt = LENGTHS_BYTES + frame.readUInt32BE(0);
  const header = headerOf(frame.toString('utf8', LENGTHS_BYTES, bodyAt));
  const body = frame.subarray(bodyAt);
  if (!('change' in header)) {
    if (body.length > 0) throw new FrameDamaged('a notice has no body');
    return header;
  }
  return {
    change: { ...withoutUndefined(header.change), operations: withValues(header.change.operations, body) },
  };
}

function headerOf(text: string): z.infer<typeof FrameHeader> {
  try {
    return FrameHeader.parse(JSON.parse(text));
  } catch (cause) {
    throw new FrameDamaged('the header of a frame is not what the contract says', { cause });
  }
}

function withoutUndefined({ lost, ...change }: z.infer<typeof ChangeHeader>): Omit<Change, 'operations'> {
  return lost === undefined ? change : { ...change, lost };
}

function withValues(headers: z.infer<typeof ChangeHeader>['operations'], body: Buffer): Operation[] {
  let at = 0;
  const operations = headers.map((header): Operation => {
    if (header.op === 'delete') return header;
    const { size, ...put } = header;
    const value = Buffer.from(body.subarray(at, at + size));
    at += size;
    return { ...put, value };
  });
  if (at !== body.length) throw new FrameDamaged(`the values take ${at} bytes, the body has ${body.length}`);
  return operations;
}
