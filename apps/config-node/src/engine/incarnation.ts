import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A number that rises with every start of a node, also when its clock went back or its disk was lost:
 * `max(number on disk + 1, wall clock)`, kept before it is used.
 */
export async function nextIncarnation(dataDir: string, wallMs: number, atLeast = 0): Promise<number> {
  const path = join(dataDir, 'incarnation');
  const next = Math.max((await kept(path)) + 1, wallMs, atLeast);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const file = await open(`${path}.tmp`, 'w', 0o600);
  try {
    await file.write(`${next}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
  return next;
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
