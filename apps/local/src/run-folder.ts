import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { processIdentity } from '#libs/servers';
import { leftoversOf, type ProcessRecord } from './domain/leftovers.js';

const SWEEP_GRACE_MS = 8_000;
const SWEEP_POLL_MS = 20;

/** The pids of the children: one file for each, for people, and one record of all, for the next start. */
export class RunFolder {
  private readonly running = new Map<string, ProcessRecord>();
  private readonly record: string;

  constructor(private readonly folder: string) {
    this.record = join(folder, 'processes.json');
  }

  began(name: string, pid: number): void {
    const identity = processIdentity(pid);
    if (identity === undefined) return; // it has already ended; its end is told next
    this.running.set(name, { name, pid, identity });
    this.write(`${name}.pid`, `${pid}\n`);
    this.keepRecord();
  }

  ended(name: string): void {
    if (!this.running.delete(name)) return;
    rmSync(join(this.folder, `${name}.pid`), { force: true });
    this.keepRecord();
  }

  pidOf(name: string): number | undefined {
    return this.running.get(name)?.pid;
  }

  writeEnvironment(name: string, text: string): void {
    this.write(`${name}.env`, text);
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
    for (const { name } of records) rmSync(join(this.folder, `${name}.pid`), { force: true });
    this.keepRecord();
    return left.map((it) => `${it.name} (pid ${it.pid})`);
  }

  private keepRecord(): void {
    this.write('processes.json', `${JSON.stringify([...this.running.values()], null, 1)}\n`);
  }

  private readRecord(): ProcessRecord[] {
    try {
      const value: unknown = JSON.parse(readFileSync(this.record, 'utf8'));
      return Array.isArray(value) ? value.filter(isRecord) : [];
    } catch {
      return []; // there was no earlier start, or the disk was full when it wrote: then nothing is known to be left
    }
  }

  private write(name: string, text: string): void {
    const file = join(this.folder, name);
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
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
