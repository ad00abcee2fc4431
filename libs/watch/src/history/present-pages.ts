import { LRUCache } from 'lru-cache';
import { LIMITS } from '#libs/contracts';
import { putFrame } from '../events.js';
import { joined } from '../frame-cache.js';
import { Turnstile } from '../turnstile.js';
import type { ChangeSource, PresentPage, PresentQuery } from './change-source.js';

const PAGE_ENTRIES = 500;
const PAGE_BYTES = 256 * 1024;
const READS_AT_ONCE = 4;
const KEPT_BYTES = 16 * 1024 * 1024;

/** A page of present values as events. */
export interface EncodedPage {
  pieces: readonly Buffer[];
  /** The last key, when there are more. */
  next: string | undefined;
}

export type PageWanted = Pick<PresentQuery, 'namespace' | 'prefix' | 'after' | 'atVersion'>;

/**
 * Pages of the present values. When a gateway has just started, all its watchers ask for the same ones at once: each is
 * read and encoded once, few at a time, and the last ones are kept for those who come a little later.
 */
export class PresentPages {
  private readonly reading = new Map<string, Promise<EncodedPage | 'expired'>>();
  private readonly kept = new LRUCache<string, EncodedPage>({ maxSize: KEPT_BYTES, sizeCalculation: sizeOf });
  private readonly turnstile = new Turnstile(READS_AT_ONCE);
  private log = 0;

  constructor(private readonly source: Pick<ChangeSource, 'present'>) {}

  page(wanted: PageWanted): Promise<EncodedPage | 'expired'> {
    const { namespace, prefix, after, atVersion } = wanted;
    const id = JSON.stringify([atVersion, namespace, prefix, after]);
    const kept = this.kept.get(id);
    if (kept !== undefined) return Promise.resolve(kept);
    const underWay = this.reading.get(id);
    if (underWay !== undefined) return underWay;
    const reading = this.read(id, wanted).finally(() => {
      if (this.reading.get(id) === reading) this.reading.delete(id);
    });
    this.reading.set(id, reading);
    return reading;
  }

  /** The same versions may mean something else from now on. */
  clear(): void {
    this.kept.clear();
    this.reading.clear();
    this.log += 1;
  }

  private async read(id: string, wanted: PageWanted): Promise<EncodedPage | 'expired'> {
    const { log } = this;
    const limit = Math.min(PAGE_ENTRIES, LIMITS.listItems);
    const page = await this.turnstile.pass(() =>
      this.source.present({ ...wanted, limit, maxBytes: PAGE_BYTES }),
    );
    if (page === 'expired') return page;
    const encoded = encodedPage(page, wanted.atVersion);
    if (log === this.log) this.kept.set(id, encoded);
    return encoded;
  }
}

function encodedPage({ entries, more }: PresentPage, atVersion: number): EncodedPage {
  const pieces = joined(entries.map((entry) => putFrame(entry, atVersion)));
  return { pieces, next: more ? entries.at(-1)?.key : undefined };
}

function sizeOf({ pieces }: EncodedPage, id: string): number {
  return pieces.reduce((sum, { length }) => sum + length, id.length);
}
