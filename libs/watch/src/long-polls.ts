import { type Change, LIMITS, Problem } from '#libs/contracts';
import { type Clock, sleep } from '#libs/kernel';
import type { ChangeSource } from './change-source.js';
import type { ResetReason } from './domain/watch-cursor.js';
import { concerns, type WatchFilter } from './domain/watch-filter.js';
import { type ChangeJson, filteredChangeJson } from './events.js';
import { FilterIndex } from './filter-index.js';
import type { OlderPages } from './older-pages.js';

export interface PollStart {
  filter: WatchFilter;
  /** The last version already seen; undefined = only what comes from now on. */
  from: number | undefined;
}

export interface LongPollAnswer {
  /** Nothing that matches up to this version is still to come: the next `from`. */
  version: number;
  changes: ChangeJson[];
}

export interface LongPollOptions {
  source: ChangeSource;
  pages: OlderPages;
  clock: Clock;
  head: () => number;
}

const PAGE_CHANGES = 500;
const PAGE_BYTES = 1024 * 1024;
const MAX_BYTES = LIMITS.listPageBytes;
/** The whole log is behind what is known here: how long until it is asked again. */
const LOG_RETRY_MS = 200;

type Wake = 'news' | 'time-out' | 'released' | 'diverged';

/** Watching with plain requests: each answers with what has come since the last one, or waits for it. */
export class LongPolls {
  private readonly index = new FilterIndex<(wake: Wake) => void>();
  private readonly sleepers = new Set<(wake: Wake) => void>();
  private released = false;

  constructor(private readonly options: LongPollOptions) {}

  get size(): number {
    return this.sleepers.size;
  }

  /** `signal` = the client has gone; the answer is then not sent. */
  async poll(start: PollStart, waitMs: number, signal: AbortSignal): Promise<LongPollAnswer> {
    const untilMs = this.options.clock.monotonicMs() + waitMs;
    const scan = new Scan(start.filter, start.from ?? this.options.head());
    for (;;) {
      await this.read(scan);
      const leftMs = untilMs - this.options.clock.monotonicMs();
      if (scan.found.length > 0 || leftMs <= 0 || this.released || signal.aborted) return scan.answer();
      if (scan.position < this.options.head()) {
        await sleep(Math.min(LOG_RETRY_MS, leftMs));
        continue;
      }
      const wake = await this.news(start.filter, leftMs, signal);
      if (wake === 'diverged') throw gone(this.options.head(), 'diverged');
      // Nobody was woken for it, so nothing up to the end of the log concerns this watcher.
      if (wake !== 'news') return scan.answer(this.options.head());
    }
  }

  /** Wakes those whom the changes concern. */
  deliver(changes: readonly Change[]): void {
    if (this.sleepers.size === 0) return;
    for (const group of this.index.concerned(changes).keys()) {
      for (const wake of [...group.members]) wake('news');
    }
    if (changes.some((change) => change.kind === 'lost')) this.wakeAll('news');
  }

  wakeAll(wake: Wake): void {
    for (const sleeper of [...this.sleepers]) sleeper(wake);
  }

  /** Answers all with what they have, now and from now on. */
  release(): void {
    this.released = true;
    this.wakeAll('released');
  }

  private async read(scan: Scan): Promise<void> {
    while (scan.position < this.options.head() && !scan.full) {
      const { position } = scan;
      const recent = this.options.source.recent(position, PAGE_CHANGES, PAGE_BYTES);
      const page = recent === 'older' ? await this.options.pages.after(position) : recent;
      const head = this.options.head();
      if (page === 'compacted') throw gone(head, 'compacted');
      const known = page.filter((change) => change.version <= head);
      if (known.length === 0) return;
      if (scan.take(known) === 'diverged') throw gone(head, 'diverged');
    }
  }

  private news(filter: WatchFilter, waitMs: number, signal: AbortSignal): Promise<Wake> {
    return new Promise((resolve) => {
      const settle = (wake: Wake) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onGone);
        this.index.remove(filter, settle);
        this.sleepers.delete(settle);
        resolve(wake);
      };
      const onGone = () => settle('released');
      const timer = setTimeout(() => settle('time-out'), waitMs);
      signal.addEventListener('abort', onGone, { once: true });
      this.index.add(filter, settle);
      this.sleepers.add(settle);
    });
  }
}

/** What one long poll has read so far. */
class Scan {
  readonly found: Change[] = [];
  private bytes = 0;

  constructor(
    private readonly filter: WatchFilter,
    public position: number,
  ) {}

  get full(): boolean {
    return this.found.length >= LIMITS.listItems || this.bytes >= MAX_BYTES;
  }

  take(changes: readonly Change[]): 'taken' | 'diverged' {
    for (const change of changes) {
      const { lost } = change;
      if (lost && this.position >= lost.from && this.position <= lost.to) return 'diverged';
      this.position = change.version;
      if (!concerns(this.filter, change)) continue;
      this.found.push(change);
      this.bytes += valueBytes(change);
      if (this.full) break;
    }
    return 'taken';
  }

  answer(levelWith = 0): LongPollAnswer {
    return {
      version: Math.max(this.position, levelWith),
      changes: this.found.map((change) => filteredChangeJson(change, this.filter)),
    };
  }
}

function valueBytes(change: Change): number {
  return change.operations.reduce(
    (sum, operation) => sum + (operation.op === 'put' ? operation.value.length : 0),
    0,
  );
}

function gone(head: number, reason: ResetReason): Problem {
  return new Problem(
    'version-compacted',
    'the history after that version is gone: list, then watch from there',
    {
      version: head,
      reason,
    },
  );
}
