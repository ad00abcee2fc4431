import { LIMITS } from '#libs/contracts';
import type { ChangeSource, PresentEntry } from './change-source.js';
import { putFrame } from './events.js';
import type { Watcher } from './watcher.js';

const PAGE_ENTRIES = 500;
const PAGE_BYTES = 256 * 1024;

/**
 * Sends the present values that a watcher asked for, all as of the version at which its listing began, waiting
 * whenever the client does not read. `expired` = that version can no longer be told apart from later ones.
 */
export async function listPresent(
  source: ChangeSource,
  watcher: Watcher,
  write: (frame: Buffer) => void,
): Promise<'listed' | 'expired' | 'left'> {
  const atVersion = watcher.cursor.listingVersion;
  if (atVersion === undefined) return 'left';
  for (const { namespace, prefix } of watcher.filter.parts) {
    let after: string | undefined;
    for (;;) {
      const page = await source.present({
        namespace,
        prefix,
        after,
        atVersion,
        limit: Math.min(PAGE_ENTRIES, LIMITS.listItems),
        maxBytes: PAGE_BYTES,
      });
      if (page === 'expired') return 'expired';
      if (watcher.cursor.mode !== 'listing') return 'left';
      if (page.entries.length > 0) write(framesOf(page.entries, atVersion));
      while (watcher.cursor.blocked && watcher.cursor.mode === 'listing') await readable(watcher);
      if (watcher.cursor.mode !== 'listing') return 'left';
      after = page.entries.at(-1)?.key;
      if (!page.more || after === undefined) break;
    }
  }
  return 'listed';
}

function framesOf(entries: readonly PresentEntry[], version: number): Buffer {
  return Buffer.concat(entries.map((entry) => putFrame(entry, version)));
}

function readable(watcher: Watcher): Promise<void> {
  return new Promise((resolve) => {
    watcher.goOn = resolve;
  });
}
