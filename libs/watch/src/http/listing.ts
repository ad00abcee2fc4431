import { sleep } from '#libs/kernel';
import type { PresentPages } from '../history/present-pages.js';
import type { Watcher } from '../watcher.js';

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
  pages: PresentPages,
  watcher: Watcher,
  head: () => number,
  write: (pieces: readonly Buffer[]) => void,
): Promise<ListingOutcome> {
  for (let beginning = 1; ; beginning++) {
    const outcome = await listOnce(pages, watcher, write);
    if (outcome !== 'expired' || beginning === BEGINNINGS) return outcome;
    // Where the listing comes from may itself be about to arrive at the present version.
    if (beginning > 1) await sleep(PAUSE_MS);
    if (watcher.cursor.mode !== 'listing') return 'left';
    watcher.cursor.listAgain(head());
  }
}

async function listOnce(
  pages: PresentPages,
  watcher: Watcher,
  write: (pieces: readonly Buffer[]) => void,
): Promise<ListingOutcome> {
  const atVersion = watcher.cursor.listingVersion;
  if (atVersion === undefined) return 'left';
  let sent = false;
  for (const { namespace, prefix } of watcher.filter.parts) {
    let after: string | undefined;
    for (;;) {
      const page = await pages.page({ namespace, prefix, after, atVersion });
      if (watcher.cursor.mode !== 'listing') return 'left';
      if (page === 'expired') return sent ? 'cut' : 'expired';
      if (page.pieces.length > 0) {
        write(page.pieces);
        sent = true;
      }
      while (watcher.cursor.blocked && watcher.cursor.mode === 'listing') await readable(watcher);
      if (watcher.cursor.mode !== 'listing') return 'left';
      after = page.next;
      if (after === undefined) break;
    }
  }
  return 'listed';
}

function readable(watcher: Watcher): Promise<void> {
  return new Promise((resolve) => {
    watcher.goOn = resolve;
  });
}
