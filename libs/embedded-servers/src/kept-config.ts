import { chmod, readFile, rename, writeFile } from 'node:fs/promises';

/**
 * Brings a configuration file to `text`, readable by its owner alone. One that says so already is left alone, so that a
 * server starts again on a full disk; else it is replaced as a whole, never cut: half of it may lack the password.
 */
export async function keepConfig(file: string, text: string): Promise<void> {
  if ((await textOf(file)) !== text) {
    await writeFile(`${file}.new`, text, { mode: 0o600, flush: true });
    await rename(`${file}.new`, file);
  }
  await chmod(file, 0o600);
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
