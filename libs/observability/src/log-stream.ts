import { write, writeSync } from 'node:fs';

const MAX_QUEUED_CHARACTERS = 1024 * 1024;
const RETRY_MS = 20;

/**
 * Lines to a file descriptor, in order, that never hold up the process that logs them. A reader that is slow or
 * frozen loses lines, and is told how many; a reader that has gone ends the logging, not the process: at its exit a
 * process whose supervisor was killed must not wait for somebody to take its last words.
 */
export class LogStream {
  private queue: string[] = [];
  private queued = 0;
  private lost = 0;
  private writing = false;
  private readerGone = false;

  constructor(
    private readonly descriptor: number,
    private readonly maxQueued = MAX_QUEUED_CHARACTERS,
  ) {}

  write(line: string): void {
    if (this.readerGone) return;
    if (this.queued + line.length > this.maxQueued) {
      this.lost++;
      return;
    }
    this.queue.push(line);
    this.queued += line.length;
    if (!this.writing) this.writeQueue();
  }

  /** What is queued, at once: for the last lines before an exit. */
  flushSync(): void {
    let rest = this.takeQueue();
    try {
      while (!this.readerGone && rest.length > 0) rest = rest.subarray(writeSync(this.descriptor, rest));
    } catch {
      this.readerGone = true; // nobody reads, or not now; there is nobody to tell it to
    }
  }

  private writeQueue(): void {
    const chunk = this.takeQueue();
    this.writing = chunk.length > 0;
    if (this.writing) this.writeChunk(chunk);
  }

  private writeChunk(chunk: Buffer): void {
    write(this.descriptor, chunk, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(() => this.writeChunk(chunk), RETRY_MS).unref();
      else if (error) this.readerGone = true;
      else if (written < chunk.length) this.writeChunk(chunk.subarray(written));
      else this.writeQueue();
    });
  }

  private takeQueue(): Buffer {
    if (this.lost > 0) {
      const time = new Date().toISOString();
      this.queue.push(
        `${JSON.stringify({ level: 'warn', time, lost: this.lost, msg: 'log lines were lost' })}\n`,
      );
      this.lost = 0;
    }
    const chunk = Buffer.from(this.queue.join(''));
    this.queue = [];
    this.queued = 0;
    return chunk;
  }
}
