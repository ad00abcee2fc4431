import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Change, changeToWire } from '#libs/contracts';

/**
 * Keeps what a node must discard because the database lost it: acknowledged changes, one JSON line each, for a person
 * to look through and publish again.
 */
export async function keepDiscarded(dataDir: string, changes: readonly Change[], at: Date): Promise<string> {
  const folder = join(dataDir, 'discarded');
  await mkdir(folder, { recursive: true });
  const [first, last] = [changes.at(0)?.version ?? 0, changes.at(-1)?.version ?? 0];
  const path = join(folder, `${at.toISOString().replaceAll(':', '-')}-${first}-${last}.ndjson`);
  const file = await open(path, 'w', 0o600);
  try {
    for (const change of changes) await file.write(`${JSON.stringify(changeToWire(change))}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return path;
}
