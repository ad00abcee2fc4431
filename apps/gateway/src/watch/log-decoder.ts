import {
  CHANGE_FRAME_LIMITS,
  CHANGE_FRAMES_TYPE,
  type Change,
  changeFromWire,
  FollowLine,
  FrameDamaged,
  FrameDecoder,
  JSON_VALUE_FACTOR,
  LIMITS,
  type LogNotice,
} from '#libs/contracts';

/** What a followed node says: changes in their order, or a notice. */
export type FollowMessage = { changes: Change[] } | LogNotice;

export interface LogDecoder {
  /** What is complete with these bytes. Throws FrameDamaged. */
  push(chunk: Buffer): FollowMessage[];
}

export function logDecoderFor(contentType: string | undefined): LogDecoder {
  return contentType === CHANGE_FRAMES_TYPE ? new FramedLog() : new LineLog();
}

class FramedLog implements LogDecoder {
  private readonly frames = new FrameDecoder();

  push(chunk: Buffer): FollowMessage[] {
    const messages: FollowMessage[] = [];
    for (const frame of this.frames.push(chunk)) {
      const last = messages.at(-1);
      if (!('change' in frame)) messages.push(frame);
      else if (last !== undefined && 'changes' in last) last.changes.push(frame.change);
      else messages.push({ changes: [frame.change] });
    }
    return messages;
  }
}

const NEWLINE = 0x0a;
/** A line is a page of changes of 1 MiB, or one larger change, in JSON. */
const MAX_LINE_BYTES = JSON_VALUE_FACTOR * (CHANGE_FRAME_LIMITS.headerBytes + LIMITS.changeSetBytes);

/** The log of a node of the release before: lines of JSON. */
class LineLog implements LogDecoder {
  private pending: Buffer[] = [];
  private pendingBytes = 0;

  push(chunk: Buffer): FollowMessage[] {
    const messages: FollowMessage[] = [];
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      const bytes = Buffer.concat([...this.pending, chunk.subarray(from, at)]);
      this.pending = [];
      this.pendingBytes = 0;
      from = at + 1;
      if (bytes.length > 0) messages.push(messageOf(bytes));
    }
    if (from < chunk.length) this.pending.push(chunk.subarray(from));
    this.pendingBytes += chunk.length - from;
    if (this.pendingBytes > MAX_LINE_BYTES) throw new FrameDamaged('a line is longer than any change set');
    return messages;
  }
}

function messageOf(bytes: Buffer): FollowMessage {
  let line: FollowLine;
  try {
    line = FollowLine.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new FrameDamaged('a line is not what the contract says', { cause });
  }
  return 'changes' in line ? { changes: line.changes.map(changeFromWire) } : line;
}
