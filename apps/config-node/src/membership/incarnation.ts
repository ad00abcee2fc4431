import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

/** Why a write to the node's own disk may fail without a fault of the node: there is no room, or no right to write. */
const DISK_REFUSES = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EACCES', 'EPERM']);

/**
 * A number that rises with every start of a node, also when its clock went back or its disk was lost:
 * `max(number on disk + 1, wall clock)`, kept before it is used. On a disk that takes no write (it is full) the node
 * starts all the same, `unkept` being told: the wall clock makes the number rise, unless it goes back meanwhile.
 */
export async function nextIncarnation(
  dataDir: string,
  wallMs: number,
  unkept: (error: Error) => void,
  atLeast = 0,
): Promise<number> {
  const path = join(dataDir, 'incarnation');
  const next = Math.max((await kept(path)) + 1, wallMs, atLeast);
  try {
    await keep(dataDir, path, next);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && DISK_REFUSES.has(String(error.code)))) throw error;
    unkept(error);
  }
  return next;
}

async function keep(dataDir: string, path: string, next: number): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const file = await open(`${path}.tmp`, 'w', 0o600);
  try {
    await file.write(`${next}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
}

async function kept(path: string): Promise<number> {
  try {
    const number = Number((await readFile(path, 'utf8')).trim());
    return Number.isSafeInteger(number) && number > 0 ? number : 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
}
