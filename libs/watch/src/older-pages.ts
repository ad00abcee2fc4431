import { LRUCache } from 'lru-cache';
import type { Change } from '#libs/contracts';
import type { ChangeSource } from './change-source.js';

export type OlderPage = readonly Change[] | 'compacted';

const PAGE_CHANGES = 500;
const PAGE_BYTES = 1024 * 1024;
const READS_AT_ONCE = 4;
const PAGES_KEPT = 8;

/**
 * Pages of the log that memory no longer holds. When a node has just started, all its watchers ask for the same few
 * pages at once: each is read once, few at a time, and the last ones are kept for the stragglers.
 */
export class OlderPages {
  private readonly reading = new Map<number, Promise<OlderPage>>();
  private readonly kept = new LRUCache<number, OlderPage>({ max: PAGES_KEPT });
  private readonly turnstile: (() => void)[] = [];
  private free = READS_AT_ONCE;
  private log = 0;

  constructor(private readonly source: ChangeSource) {}

  after(version: number): Promise<OlderPage> {
    const kept = this.kept.get(version);
    if (kept !== undefined) return Promise.resolve(kept);
    const underWay = this.reading.get(version);
    if (underWay !== undefined) return underWay;
    const reading = this.read(version).finally(() => {
      if (this.reading.get(version) === reading) this.reading.delete(version);
    });
    this.reading.set(version, reading);
    return reading;
  }

  /** What was read so far may not be the log any more. */
  clear(): void {
    this.kept.clear();
    this.reading.clear();
    this.log += 1;
  }

  private async read(version: number): Promise<OlderPage> {
    const { log } = this;
    await this.enter();
    try {
      const page = await this.source.older(version, PAGE_CHANGES, PAGE_BYTES);
      // An empty page is the end of the log as yet; a full one stays what it is.
      if (log === this.log && (page === 'compacted' || page.length > 0)) this.kept.set(version, page);
      return page;
    } finally {
      this.leave();
    }
  }

  private async enter(): Promise<void> {
    if (this.free > 0) {
      this.free -= 1;
      return;
    }
    await new Promise<void>((resolve) => this.turnstile.push(resolve));
  }

  private leave(): void {
    const next = this.turnstile.shift();
    if (next === undefined) this.free += 1;
    else next();
  }
}
