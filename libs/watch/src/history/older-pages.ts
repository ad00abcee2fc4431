import { LRUCache } from 'lru-cache';
import { LIMITS } from '#libs/contracts';
import { Turnstile } from '../turnstile.js';
import type { ChangeSource, LogPage } from './change-source.js';

export type OlderPage = LogPage | 'compacted';

const PAGE_CHANGES = 500;
const PAGE_BYTES = 1024 * 1024;
const READS_AT_ONCE = 4;
/**
 * The first pages are of all namespaces, so that the many who have little to catch up with share them, whatever each of them
 * watches. Who is further behind reads on in pages of its own namespaces.
 */
const SHARED_PAGES = 2;
const PAGES_KEPT = 64;
const KEPT_BYTES = 4 * LIMITS.changeSetBytes;
/** What a change takes beside its values. */
const OVERHEAD_BYTES = 256;

/**
 * Pages of the log that memory no longer holds, of the namespaces that somebody watches. When a node has just started,
 * all its watchers ask for the same few pages at once: each is read once, few at a time, and the last ones are kept for
 * the stragglers.
 */
export class OlderPages {
  private readonly reading = new Map<string, Promise<OlderPage>>();
  private readonly kept = new LRUCache<string, { page: OlderPage }>({
    max: PAGES_KEPT,
    maxSize: KEPT_BYTES,
    sizeCalculation: ({ page }) => sizeOf(page),
  });
  private readonly turnstile = new Turnstile(READS_AT_ONCE);
  private log = 0;

  constructor(private readonly source: Pick<ChangeSource, 'older'>) {}

  /** `pagesRead` = how many pages the watch has read before this one. */
  after(version: number, watched: readonly string[], pagesRead: number): Promise<OlderPage> {
    const namespaces = pagesRead < SHARED_PAGES ? [] : watched;
    const id = `${version} ${namespaces.join(' ')}`;
    const kept = this.kept.get(id);
    if (kept !== undefined) return Promise.resolve(kept.page);
    const underWay = this.reading.get(id);
    if (underWay !== undefined) return underWay;
    const reading = this.read(id, version, namespaces).finally(() => {
      if (this.reading.get(id) === reading) this.reading.delete(id);
    });
    this.reading.set(id, reading);
    return reading;
  }

  /** What was read so far may not be the log any more. */
  clear(): void {
    this.kept.clear();
    this.reading.clear();
    this.log += 1;
  }

  private async read(id: string, after: number, namespaces: readonly string[]): Promise<OlderPage> {
    const { log } = this;
    const query = { after, limit: PAGE_CHANGES, maxBytes: PAGE_BYTES, namespaces };
    const page = await this.turnstile.pass(() => this.source.older(query));
    // A page that leads nowhere is the end of the log as yet; another one stays what it is.
    if (log === this.log && (page === 'compacted' || page.through > after)) this.kept.set(id, { page });
    return page;
  }
}

function sizeOf(page: OlderPage): number {
  let bytes = OVERHEAD_BYTES;
  for (const { operations } of page === 'compacted' ? [] : page.changes) {
    bytes += OVERHEAD_BYTES;
    for (const operation of operations)
      bytes += OVERHEAD_BYTES + (operation.op === 'put' ? operation.value.length : 0);
  }
  return bytes;
}

/** A page of memory, which leaves nothing out. */
export function wholePage(changes: readonly LogPage['changes'][number][], after: number): LogPage {
  return { changes, through: changes.at(-1)?.version ?? after };
}
