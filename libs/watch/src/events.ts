import { type Change, changeToWire, type Operation, valueToJson, type WireOperation } from '#libs/contracts';
import type { WatchSend } from './domain/watch-cursor.js';
import type { PresentEntry } from './history/change-source.js';

/** A change as watchers and `GET /v1/changes` show it: without what is internal to the log. */
export interface ChangeJson {
  version: number;
  term: number;
  author: string | null;
  comment: string | null;
  createdAt: string;
  operations: WireOperation[];
}

export function changeJson(change: Change): ChangeJson {
  const { version, term, author, comment, createdAt, operations } = changeToWire(change);
  return { version, term, author, comment, createdAt, operations };
}

/** First bytes of every stream: how long a browser waits before it connects again. */
export const RETRY_FRAME = Buffer.from('retry: 1000\n\n');
const COMMENT_FRAME = Buffer.from(':\n\n');

/** An event and, as a part of the same bytes, its data: long polls answer with what watchers are sent. */
export interface EncodedChange {
  frame: Buffer;
  json: Buffer;
}

const FRAME_END = '\n\n';

export function encodeChange(change: Change, operations: readonly Operation[]): EncodedChange {
  const head = `id: ${change.version}\nevent: change\ndata: `;
  const data = JSON.stringify(changeJson({ ...change, operations: [...operations] }));
  const frame = Buffer.from(`${head}${data}${FRAME_END}`);
  return { frame, json: frame.subarray(head.length, frame.length - FRAME_END.length) };
}

/** A present value. It has no id: only the bookmark after the last of them is a place to resume from. */
export function putFrame(entry: PresentEntry, version: number): Buffer {
  const { namespace, key, contentType, checksum, updatedAt } = entry;
  const data = {
    version,
    op: 'put',
    namespace,
    key,
    ...valueToJson(entry.value),
    contentType,
    checksum,
    keyVersion: entry.version,
    updatedAt,
  };
  return Buffer.from(`event: put\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Frames of everything but changes. */
export function noticeFrame(send: Exclude<WatchSend, { type: 'changes' }>): Buffer {
  switch (send.type) {
    case 'comment':
      return COMMENT_FRAME;
    case 'bookmark':
      return Buffer.from(
        `id: ${send.version}\nevent: bookmark\ndata: ${JSON.stringify({ version: send.version })}\n\n`,
      );
    case 'reset':
    case 'end':
      return Buffer.from(
        `event: ${send.type}\ndata: ${JSON.stringify({ version: send.version, reason: send.reason })}\n\n`,
      );
  }
}
