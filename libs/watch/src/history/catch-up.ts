import type { Clock } from '#libs/kernel';
import type { WatchSend } from '../domain/watch-cursor.js';
import type { Watcher } from '../watcher.js';
import type { ChangeSource } from './change-source.js';
import { type OlderPage, type OlderPages, wholePage } from './older-pages.js';

const PAGE_CHANGES = 256;
const PAGE_BYTES = 256 * 1024;
/** How long those who catch up may keep the event loop before everything else gets its turn. */
const ROUND_MS = 8;
/** After a page that could not be read: this many ticks until the next try. */
const TICKS_BETWEEN_TRIES = 4;

export interface CatchUpOptions {
  source: ChangeSource;
  pages: OlderPages;
  clock: Clock;
  /** The end of the log as far as live watchers were offered it: pages stop there. */
  head: () => number;
  send: (watcher: Watcher, sends: WatchSend[]) => void;
  onError: (error: unknown) => void;
}

/** Brings the watchers that are behind level with the log: one page each in turn, in slices of time. */
export class CatchUp {
  private queue: Watcher[] = [];
  private next = 0;
  private round: NodeJS.Immediate | undefined;
  private tryAgain = new Set<Watcher>();
  private ticks = 0;

  constructor(private readonly options: CatchUpOptions) {}

  /** Gives the watcher its turn, if it is behind. */
  enqueue(watcher: Watcher): void {
    if (watcher.queued || !watcher.wantsPage) return;
    watcher.queued = true;
    this.queue.push(watcher);
    this.round ??= setImmediate(() => this.run());
  }

  tick(): void {
    this.ticks += 1;
    if (this.tryAgain.size === 0 || this.ticks % TICKS_BETWEEN_TRIES !== 0) return;
    const again = this.tryAgain;
    this.tryAgain = new Set();
    for (const watcher of again) this.enqueue(watcher);
  }

  stop(): void {
    clearImmediate(this.round);
    this.queue = [];
    this.tryAgain.clear();
  }

  private run(): void {
    this.round = undefined;
    const until = this.options.clock.monotonicMs() + ROUND_MS;
    for (;;) {
      const watcher = this.queue[this.next];
      if (watcher === undefined) {
        this.queue = [];
        this.next = 0;
        return;
      }
      this.next += 1;
      watcher.queued = false;
      if (watcher.wantsPage) this.step(watcher);
      if (this.options.clock.monotonicMs() > until) break;
    }
    this.queue.splice(0, this.next);
    this.next = 0;
    if (this.queue.length > 0) this.round = setImmediate(() => this.run());
  }

  private step(watcher: Watcher): void {
    const { position } = watcher.cursor;
    const page = this.options.source.recent(position, PAGE_CHANGES, PAGE_BYTES);
    if (page !== 'older') {
      this.deliver(watcher, position, wholePage(page, position));
      return;
    }
    watcher.reading = true;
    this.options.pages.after(position, watcher.filter.namespaces, watcher.pagesRead++).then(
      (older) => {
        watcher.reading = false;
        this.deliver(watcher, position, older);
      },
      (error) => {
        watcher.reading = false;
        this.tryAgain.add(watcher);
        this.options.onError(error);
      },
    );
  }

  private deliver(watcher: Watcher, position: number, page: OlderPage): void {
    const { cursor } = watcher;
    if (cursor.mode !== 'behind') return;
    const head = this.options.head();
    if (page === 'compacted') {
      this.options.send(watcher, cursor.compacted(head));
      return;
    }
    const through = Math.min(page.through, head);
    if (through <= position || cursor.position !== position) {
      this.tryAgain.add(watcher);
      return;
    }
    const known = page.changes.filter((change) => change.version <= through);
    this.options.send(watcher, cursor.page({ changes: known, through }, head));
    if (watcher.cursor.mode === 'live') watcher.pagesRead = 0;
    this.enqueue(watcher);
  }
}
