import type { WatchCursor } from './domain/watch-cursor.js';
import type { WatchFilter } from './domain/watch-filter.js';
import type { WatchSink } from './http/watch-sink.js';

/** One open stream: a cursor and the client's end. What moves it is the hub. */
export class Watcher {
  /** Stands in the queue of those that are to be given a page. */
  queued = false;
  /** Waits for a page from outside memory. */
  reading = false;
  /** Pages that memory did not have, since it was level last. */
  pagesRead = 0;
  /** Goes on with a listing of the present values that a full socket interrupted. */
  goOn: (() => void) | undefined;

  constructor(
    readonly filter: WatchFilter,
    readonly cursor: WatchCursor,
    readonly sink: WatchSink,
  ) {}

  get wantsPage(): boolean {
    return this.cursor.mode === 'behind' && !this.cursor.blocked && !this.reading;
  }

  /** Lets an interrupted listing look at how things stand now. */
  wake(): void {
    const { goOn } = this;
    this.goOn = undefined;
    goOn?.();
  }
}
