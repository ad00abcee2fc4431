import { once } from 'node:events';
import type { Writable } from 'node:stream';
import {
  accepts,
  CHANGE_FRAMES_TYPE,
  type Change,
  changeFrameParts,
  changeToWire,
  type FollowLine,
  type LogNotice,
  noticeFrame,
} from '#libs/contracts';

/** Frames, or lines of JSON for a reader of the release before, which does not know them. */
export type LogForm = typeof CHANGE_FRAMES_TYPE | 'application/x-ndjson';

/** Who accepts anything does not name frames, and may not know them. */
export function logFormFor(accept: string | undefined): LogForm {
  const names = accept?.includes(CHANGE_FRAMES_TYPE) === true && accepts(accept, CHANGE_FRAMES_TYPE);
  return names ? CHANGE_FRAMES_TYPE : 'application/x-ndjson';
}

/** The reader's end of a followed log. A write resolves when there is room for the next, or the reader has gone. */
export class LogOutput {
  constructor(
    private readonly out: Writable,
    private readonly form: LogForm,
  ) {}

  get ended(): boolean {
    return this.out.destroyed || this.out.writableEnded;
  }

  onClose(listener: () => void): () => void {
    this.out.on('close', listener);
    return () => this.out.off('close', listener);
  }

  async changes(changes: readonly Change[]): Promise<void> {
    if (this.form !== CHANGE_FRAMES_TYPE) return this.line({ changes: changes.map(changeToWire) });
    for (const change of changes) await this.write(changeFrameParts(change));
  }

  async notice(notice: LogNotice): Promise<void> {
    if (this.form !== CHANGE_FRAMES_TYPE) return this.line(notice);
    return this.write([noticeFrame(notice)]);
  }

  private line(line: FollowLine): Promise<void> {
    return this.write([Buffer.from(`${JSON.stringify(line)}\n`)]);
  }

  private async write(parts: readonly Buffer[]): Promise<void> {
    if (this.ended) return;
    let hasRoom = true;
    for (const part of parts) hasRoom = this.out.write(part);
    if (hasRoom) return;
    const closed = new AbortController();
    const stop = this.onClose(() => closed.abort());
    try {
      await once(this.out, 'drain', { signal: closed.signal });
    } catch (error) {
      if (!closed.signal.aborted) throw error;
    } finally {
      stop();
    }
  }
}
