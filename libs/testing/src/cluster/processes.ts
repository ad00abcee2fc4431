import { readdirSync, readFileSync } from 'node:fs';

/** Reads a file of /proc; undefined when the process is gone. */
function proc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}

/** Fields after the command name, which may itself contain spaces and parentheses. Index 0 is the state. */
function statFields(pid: number): string[] | undefined {
  const stat = proc(`${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Alive, and not merely waiting to be reaped. */
export function isAlive(pid: number): boolean {
  const state = statFields(pid)?.[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** User and system time of a process, in seconds. */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  const ticks = Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0);
  return ticks / 100; // USER_HZ is 100 on every Linux that Node runs on
}

/** Proportional set size: shared pages are divided among those who share them. */
export function pssBytes(pid: number): number {
  const rollup = proc(`${pid}/smaps_rollup`);
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup ?? '')?.[1] ?? 0) * 1024;
}

export function rssBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(proc(`${pid}/status`) ?? '')?.[1] ?? 0) * 1024;
}

export function parentOf(pid: number): number | undefined {
  const parent = statFields(pid)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

export function commandOf(pid: number): string {
  return (proc(`${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim();
}

function everyPid(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** A process and everything below it. */
export function processTree(root: number): number[] {
  const children = Map.groupBy(everyPid(), (pid) => parentOf(pid) ?? 0);
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** Processes that name a folder in their command line or environment. */
export function processesOf(folder: string): number[] {
  return everyPid().filter(
    (pid) =>
      pid !== process.pid &&
      isAlive(pid) &&
      (proc(`${pid}/cmdline`)?.includes(folder) || proc(`${pid}/environ`)?.includes(folder)),
  );
}
