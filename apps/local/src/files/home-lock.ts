import { linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processIdentity } from '#libs/embedded-servers';
import { StartRefused } from '../start-refused.js';

interface Holder {
  pid: number;
  identity: string;
}

const NAME = /^lock\.(\d+)$/;

/**
 * Makes this process the only one on the folder for as long as it lives. The lock is the file `lock.<n>` with the
 * highest n; it is held while the process named in it runs, and is never removed, only succeeded by n + 1. Of several
 * processes that find the same dead holder, exactly one can create the next file.
 */
export function lockHome(run: string): void {
  const identity = processIdentity(process.pid);
  if (identity === undefined) throw new Error('cannot tell when this process began');
  const draft = join(run, `lock-draft.${process.pid}`);
  writeFileSync(draft, JSON.stringify({ pid: process.pid, identity } satisfies Holder), { mode: 0o600 });
  try {
    for (;;) {
      const highest = numbers(run).at(-1) ?? 0;
      const holder = highest === 0 ? undefined : readHolder(join(run, `lock.${highest}`));
      if (holder && processIdentity(holder.pid) === holder.identity) throw alreadyRunning(run, holder);
      if (create(draft, join(run, `lock.${highest + 1}`))) {
        for (const old of numbers(run)) if (old <= highest) rmSync(join(run, `lock.${old}`), { force: true });
        return;
      }
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

function numbers(run: string): number[] {
  return readdirSync(run)
    .map((name) => Number(NAME.exec(name)?.[1] ?? 0))
    .filter((n) => n > 0)
    .sort((a, b) => a - b);
}

/** Undefined for a file that says nothing: a lock is linked into place whole, so nobody is just writing it. */
function readHolder(file: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, identity } = value as Partial<Holder>;
    return typeof pid === 'number' && typeof identity === 'string' ? { pid, identity } : undefined;
  } catch {
    return undefined;
  }
}

function create(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function alreadyRunning(run: string, holder: Holder): StartRefused {
  return new StartRefused(
    `Holdfast already runs on ${join(run, '..')} (pid ${holder.pid}); nothing was changed.\n` +
      `Stop it with: kill ${holder.pid}\n` +
      'or run a second cluster beside it: HOLDFAST_HOME=.holdfast-2 HOLDFAST_PORT=8081 npm start',
  );
}
