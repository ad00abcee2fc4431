import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { processIdentity } from '#libs/embedded-servers';
import { crashOnDefect, messageOf } from '#libs/kernel';
import { leftoversOf, type ProcessRecord } from '../domain/leftovers.js';

const SWEEP_GRACE_MS = 8_000;
const SWEEP_POLL_MS = 20;
/** A file that could not be written is tried again: there may be room on the disk by then. */
const REWRITE_EVERY_MS = 2_000;

/**
 * The pids of the children: one file for each, for people, and one record of all, for the next start. Nothing that runs
 * depends on these files: one that cannot be written (a full disk) is reported once and written later.
 */
export class RunFolder {
  private readonly running = new Map<string, ProcessRecord>();
  private readonly record: string;
  /** Files that do not hold what they should, by name; undefined = the file should not be there. */
  private readonly unwritten = new Map<string, string | undefined>();
  private rewriting: NodeJS.Timeout | undefined;

  constructor(
    private readonly folder: string,
    private readonly report: (message: string) => void = () => undefined,
  ) {
    this.record = join(folder, 'processes.json');
  }

  began(name: string, pid: number): void {
    const identity = processIdentity(pid);
    if (identity === undefined) return; // it has already ended; its end is told next
    this.running.set(name, { name, pid, identity });
    this.keep(`${name}.pid`, `${pid}\n`);
    this.keepRecord();
  }

  ended(name: string): void {
    if (!this.running.delete(name)) return;
    this.keep(`${name}.pid`, undefined);
    this.keepRecord();
  }

  pidOf(name: string): number | undefined {
    return this.running.get(name)?.pid;
  }

  writeEnvironment(name: string, text: string): void {
    this.keep(`${name}.env`, text);
  }

  /** Ends by force, with their process groups, all that were begun and have not ended. */
  killAll(): void {
    for (const { pid, identity } of this.running.values()) {
      if (processIdentity(pid) === identity) signalTo(-pid, 'SIGKILL');
    }
  }

  /** Ends what a parent that was killed left running. Returns the names. */
  async sweep(): Promise<string[]> {
    const records = this.readRecord();
    const left = leftoversOf(records, processIdentity);
    for (const { name, pid } of left) signalTo(pid, orderlyEnd(name));
    const until = performance.now() + SWEEP_GRACE_MS;
    let remaining = left;
    while (remaining.length > 0 && performance.now() < until) {
      await wait(SWEEP_POLL_MS);
      remaining = leftoversOf(remaining, processIdentity);
    }
    for (const { pid } of remaining) signalTo(-pid, 'SIGKILL');
    for (const { name } of records) this.keep(`${name}.pid`, undefined);
    this.keepRecord();
    return left.map((it) => `${it.name} (pid ${it.pid})`);
  }

  private keepRecord(): void {
    this.keep('processes.json', `${JSON.stringify([...this.running.values()], null, 1)}\n`);
  }

  private readRecord(): ProcessRecord[] {
    try {
      const value: unknown = JSON.parse(readFileSync(this.record, 'utf8'));
      return Array.isArray(value) ? value.filter(isRecord) : [];
    } catch {
      return []; // there was no earlier start, or the disk was full when it wrote: then nothing is known to be left
    }
  }

  /** Brings a file to `text`, now or as soon as the disk allows it. */
  private keep(name: string, text: string | undefined): void {
    try {
      this.write(name, text);
      this.unwritten.delete(name);
      if (this.unwritten.size === 0) this.written();
    } catch (error) {
      crashOnDefect(error);
      this.unwritten.set(name, text);
      this.couldNotWrite(name, error);
    }
  }

  private write(name: string, text: string | undefined): void {
    const file = join(this.folder, name);
    if (text === undefined) {
      rmSync(file, { force: true });
      return;
    }
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  private couldNotWrite(name: string, error: unknown): void {
    if (this.rewriting !== undefined) return;
    const why = messageOf(error);
    this.report(
      `${join(this.folder, name)} cannot be written (${why}): the processes go on, it is tried again`,
    );
    this.rewriting = setInterval(() => this.rewrite(), REWRITE_EVERY_MS).unref();
  }

  private rewrite(): void {
    for (const [name, text] of [...this.unwritten]) this.keep(name, text);
  }

  private written(): void {
    if (this.rewriting === undefined) return;
    clearInterval(this.rewriting);
    this.rewriting = undefined;
    this.report(`${this.folder} can be written again`);
  }
}

function isRecord(value: unknown): value is ProcessRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { name, pid, identity } = value as Partial<ProcessRecord>;
  return typeof name === 'string' && typeof pid === 'number' && pid > 1 && typeof identity === 'string';
}

function orderlyEnd(name: string): NodeJS.Signals {
  return name === 'postgres' || name === 'nats' ? 'SIGINT' : 'SIGTERM';
}

export function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
