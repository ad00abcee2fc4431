import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

const MAX_BYTES = 10 * 1024 * 1024;
const KEPT_FILES = 3;
const NEWLINE = 0x0a;

/**
 * A log that starts a new file at 10 MB and keeps three (`x.log`, `x.log.1`, `x.log.2`). It writes at once: what a
 * process said before it died is in the file, and nothing queues up in memory when the disk is slow. A full disk loses
 * lines, never the process that writes them.
 */
export class LogFile {
  private descriptor: number | undefined;
  private size = 0;
  private atLineStart = true;
  private lostBytes = 0;

  constructor(
    private readonly path: string,
    private readonly maxBytes = MAX_BYTES,
  ) {}

  write(chunk: Buffer): void {
    try {
      this.append(chunk);
    } catch {
      this.lostBytes += chunk.length; // told in the log itself as soon as there is room again
    }
  }

  close(): void {
    const { descriptor } = this;
    this.descriptor = undefined; // it is closed even when closing reports that the disk is full
    if (descriptor !== undefined) closeSync(descriptor);
  }

  private append(chunk: Buffer): void {
    if (this.atLineStart && this.size + chunk.length > this.maxBytes && this.size > 0) this.rotate();
    if (this.descriptor === undefined) this.open();
    if (this.descriptor === undefined) return;
    if (this.lostBytes > 0) {
      this.size += writeSync(this.descriptor, `(${this.lostBytes} bytes of this log could not be written)\n`);
      this.lostBytes = 0;
    }
    for (let written = 0; written < chunk.length; ) {
      const count = writeSync(this.descriptor, chunk, written);
      written += count;
      this.size += count;
    }
    this.atLineStart = chunk.at(-1) === NEWLINE;
  }

  private open(): void {
    this.descriptor = openSync(this.path, 'a', 0o600);
    this.size = fstatSync(this.descriptor).size;
  }

  private rotate(): void {
    this.close();
    rmSync(`${this.path}.${KEPT_FILES - 1}`, { force: true });
    for (let n = KEPT_FILES - 2; n >= 1; n--) renameIfThere(`${this.path}.${n}`, `${this.path}.${n + 1}`);
    renameIfThere(this.path, `${this.path}.1`);
    this.open();
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
