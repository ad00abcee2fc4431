import { LIMITS } from '#libs/contracts';
import { sleep } from '#libs/kernel';
import type { ChangeSource, PresentEntry } from './change-source.js';
import { putFrame } from './events.js';
import { joined } from './frame-cache.js';
import type { Watcher } from './watcher.js';

const PAGE_ENTRIES = 500;
const PAGE_BYTES = 256 * 1024;

/** How often, and with what pauses, a listing begins that could not even begin. */
const BEGINNINGS = 10;
const PAUSE_MS = 200;

/** `cut` = some values were sent, and the others can no longer be told as of the same version; `expired` = none could. */
export type ListingOutcome = 'listed' | 'cut' | 'expired' | 'left';

/**
 * Sends the present values that a watcher asked for, all as of one version, waiting whenever the client does not
 * read. As long as nothing was sent, a version that memory no longer reaches back to is exchanged for the present one.
 */
export async function listPresent(
  source: ChangeSource,
  watcher: Watcher,
  head: () => number,
  write: (pieces: readonly Buffer[]) => void,
): Promise<ListingOutcome> {
  for (let beginning = 1; ; beginning++) {
    const outcome = await listOnce(source, watcher, write);
    if (outcome !== 'expired' || beginning === BEGINNINGS) return outcome;
    // Where the listing comes from may itself be about to arrive at the present version.
    if (beginning > 1) await sleep(PAUSE_MS);
    if (watcher.cursor.mode !== 'listing') return 'left';
    watcher.cursor.listAgain(head());
  }
}

async function listOnce(
  source: ChangeSource,
  watcher: Watcher,
  write: (pieces: readonly Buffer[]) => void,
): Promise<ListingOutcome> {
  const atVersion = watcher.cursor.listingVersion;
  if (atVersion === undefined) return 'left';
  let sent = false;
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
      if (watcher.cursor.mode !== 'listing') return 'left';
      if (page === 'expired') return sent ? 'cut' : 'expired';
      if (page.entries.length > 0) {
        write(framesOf(page.entries, atVersion));
        sent = true;
      }
      while (watcher.cursor.blocked && watcher.cursor.mode === 'listing') await readable(watcher);
      if (watcher.cursor.mode !== 'listing') return 'left';
      after = page.entries.at(-1)?.key;
      if (!page.more || after === undefined) break;
    }
  }
  return 'listed';
}

function framesOf(entries: readonly PresentEntry[], version: number): Buffer[] {
  return joined(entries.map((entry) => putFrame(entry, version)));
}

function readable(watcher: Watcher): Promise<void> {
  return new Promise((resolve) => {
    watcher.goOn = resolve;
  });
}
