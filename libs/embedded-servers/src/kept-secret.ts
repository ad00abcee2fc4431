import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A secret of 192 bits that can stand in a URL, a command line or a configuration file as it is. */
export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

/** The secret kept in `file`; made up and written (0600) when there is none. Of several that race, one wins. */
export async function keptSecret(file: string): Promise<string> {
  const kept = await readSecret(file);
  if (kept !== undefined) return kept;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const secret = newSecret();
  try {
    await writeFile(file, `${secret}\n`, { mode: 0o600, flag: 'wx', flush: true });
    return secret;
  } catch (error) {
    const winner = await readSecret(file);
    if (winner === undefined) throw error;
    return winner;
  }
}

async function readSecret(file: string): Promise<string | undefined> {
  try {
    const secret = (await readFile(file, 'utf8')).trim();
    if (secret === '') throw new Error(`the secret file ${file} is empty`);
    return secret;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
