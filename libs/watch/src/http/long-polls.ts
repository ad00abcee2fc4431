import { type Change, LIMITS, Problem } from '#libs/contracts';
import { type Clock, Slices, sleep } from '#libs/kernel';
import { EARLY, isBeyondHistory } from '../domain/beyond-history.js';
import type { ResetReason } from '../domain/watch-cursor.js';
import { concerns, type WatchFilter } from '../domain/watch-filter.js';
import { FilterIndex } from '../filter-index.js';
import { type FrameCache, joined } from '../frame-cache.js';
import type { ChangeSource } from '../history/change-source.js';
import { type OlderPage, type OlderPages, wholePage } from '../history/older-pages.js';
import type { SharedRequest } from '../history/shared-request.js';

export interface PollStart {
  filter: WatchFilter;
  /** The last version already seen; undefined = only what comes from now on. */
  from: number | undefined;
}

export interface LongPollAnswer {
  /** Nothing that matches up to this version is still to come: the next `from`. */
  version: number;
  /** Each in JSON, the same bytes for all who watch the same operations. */
  changes: readonly Buffer[];
}

/** `{version, changes}` in JSON, in as few pieces as can be without copying what is shared. */
export function answerPieces({ version, changes }: LongPollAnswer): Buffer[] {
  const parts = changes.flatMap((change, index) => (index === 0 ? [change] : [COMMA, change]));
  return joined([Buffer.from(`{"version":${version},"changes":[`), ...parts, END]);
}

const COMMA = Buffer.from(',');
const END = Buffer.from(']}');

export interface LongPollOptions {
  source: ChangeSource;
  pages: OlderPages;
  frames: FrameCache;
  newest: SharedRequest<number | undefined>;
  clock: Clock;
  head: () => number;
}

const PAGE_CHANGES = 500;
const PAGE_BYTES = 1024 * 1024;
const MAX_BYTES = LIMITS.listPageBytes;
/** The whole log is behind what is known here: how long until it is asked again. */
const LOG_RETRY_MS = 200;
/**
 * A poll that does not wait, or no longer, still gets what can be read within this time; what comes later is kept for the
 * next poll, which begins where this one ended.
 */
const READ_WITHIN_MS = 250;
/** How long a poll that is ahead waits to hear where the history ends; a database that is away tells nothing. */
const ANSWERED_WITHIN_MS = 1_000;

/** So many are woken, or looked at, in one turn of the event loop: they answer before the next ones are woken. */
const STEPS_AT_ONCE = 16;

type Wake = 'news' | 'time-out' | 'released' | 'diverged';

/** Watching with plain requests: each answers with what has come since the last one, or waits for it. */
export class LongPolls {
  private readonly index = new FilterIndex<(wake: Wake) => void>();
  private readonly sleepers = new Set<(wake: Wake) => void>();
  private readonly toWake: Generator<((wake: Wake) => void) | undefined>[] = [];
  private waking: NodeJS.Immediate | undefined;
  private released = false;

  constructor(private readonly options: LongPollOptions) {}

  get size(): number {
    return this.sleepers.size;
  }

  /** `signal` = the client has gone; the answer is then not sent. */
  async poll(start: PollStart, waitMs: number, signal: AbortSignal): Promise<LongPollAnswer> {
    const beganMs = this.options.clock.monotonicMs();
    const untilMs = beganMs + waitMs;
    const scan = new Scan(start.filter, start.from ?? this.options.head());
    const readUntilMs = Math.max(untilMs, beganMs + READ_WITHIN_MS);
    await this.demandHistory(scan, beganMs);
    for (;;) {
      await this.read(scan, readUntilMs);
      const leftMs = untilMs - this.options.clock.monotonicMs();
      if (scan.found.length > 0 || leftMs <= 0 || this.released || signal.aborted) return this.answer(scan);
      if (scan.position < this.options.head()) {
        await sleep(Math.min(LOG_RETRY_MS, leftMs));
        continue;
      }
      const isAhead = scan.position > this.options.head();
      const wake = await this.news(start.filter, isAhead ? Math.min(leftMs, EARLY.forMs) : leftMs, signal);
      if (isAhead && wake === 'time-out') {
        await this.demandHistory(scan, beganMs);
        if (leftMs > EARLY.forMs) continue;
      }
      if (wake === 'diverged') throw gone(this.options.head(), 'diverged');
      // Nobody was or is still to be woken, so nothing up to the end of the log concerns this watcher.
      if (wake !== 'news') return this.answer(scan, this.toWake.length > 0 ? 0 : this.options.head());
    }
  }

  /** Wakes those whom the changes concern, a few in each turn of the event loop. */
  deliver(changes: readonly Change[]): void {
    if (this.sleepers.size === 0) return;
    this.toWake.push(this.concerned(changes));
    this.waking ??= setImmediate(() => this.wakeSome());
    if (changes.some((change) => change.kind === 'lost')) this.wakeAll('news');
  }

  private *concerned(changes: readonly Change[]): Generator<((wake: Wake) => void) | undefined> {
    for (const { filter, members } of this.index.candidates(changes)) {
      if (changes.some((change) => concerns(filter, change))) yield* [...members];
      else yield undefined; // looking at it took its time all the same
    }
  }

  private wakeSome(): void {
    this.waking = undefined;
    for (let step = 0; step < STEPS_AT_ONCE; step++) {
      const next = this.toWake[0]?.next();
      if (next === undefined) return;
      if (next.done === true) this.toWake.shift();
      else next.value?.('news');
    }
    this.waking = setImmediate(() => this.wakeSome());
  }

  wakeAll(wake: Wake): void {
    for (const sleeper of [...this.sleepers]) sleeper(wake);
  }

  /** Answers all with what they have, now and from now on. */
  release(): void {
    this.released = true;
    this.wakeAll('released');
  }

  /** Throws 410 when the poll waits for a version of a history that is gone, as far as the database says so soon enough. */
  private async demandHistory({ position }: Scan, beganMs: number): Promise<void> {
    if (position <= this.options.head()) return;
    const askedMs = this.options.clock.monotonicMs();
    const newest = await this.inTime(this.options.newest.ask(), askedMs + ANSWERED_WITHIN_MS);
    if (newest !== undefined && isBeyondHistory(position, newest, askedMs - beganMs)) {
      throw gone(newest, 'diverged');
    }
  }

  /** Up to the end of the log or to that time, but for one page at least when it is there soon enough. */
  private async read(scan: Scan, untilMs: number): Promise<void> {
    const slices = new Slices(() => this.options.clock.monotonicMs());
    while (scan.position < this.options.head() && !scan.full) {
      const page = await this.pageAfter(scan, untilMs);
      const head = this.options.head();
      if (page === 'compacted') throw gone(head, 'compacted');
      const through = Math.min(page?.through ?? 0, head);
      if (page === undefined || through <= scan.position) return;
      const known = page.changes.filter((change) => change.version <= through);
      if (scan.add(known, through) === 'diverged') throw gone(head, 'diverged');
      if (this.options.clock.monotonicMs() >= untilMs) return;
      await slices.giveWay();
    }
  }

  private async pageAfter(scan: Scan, untilMs: number): Promise<OlderPage | undefined> {
    const { position, filter } = scan;
    const recent = this.options.source.recent(position, PAGE_CHANGES, PAGE_BYTES);
    if (recent !== 'older') return wholePage(recent, position);
    return this.inTime(this.options.pages.after(position, filter.namespaces, scan.pagesRead++), untilMs);
  }

  /** Undefined when it takes longer. */
  private async inTime<T>(answer: Promise<T>, untilMs: number): Promise<T | undefined> {
    const late = new AbortController();
    const leftMs = Math.max(0, untilMs - this.options.clock.monotonicMs());
    try {
      return await Promise.race([answer, sleep(leftMs, late.signal).then(() => undefined)]);
    } finally {
      late.abort();
    }
  }

  private answer({ filter, position, found }: Scan, levelWith = 0): LongPollAnswer {
    const version = Math.max(position, levelWith);
    return { version, changes: found.map((change) => this.options.frames.encode(change, filter).json) };
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
  /** Pages that memory did not have. */
  pagesRead = 0;
  private bytes = 0;

  constructor(
    readonly filter: WatchFilter,
    public position: number,
  ) {}

  get full(): boolean {
    return this.found.length >= LIMITS.listItems || this.bytes >= MAX_BYTES;
  }

  /** What concerns the poll is complete up to `through`. */
  add(changes: readonly Change[], through: number): 'taken' | 'diverged' {
    for (const change of changes) {
      const { lost } = change;
      if (lost && this.position >= lost.from && this.position <= lost.to) return 'diverged';
      this.position = change.version;
      if (!concerns(this.filter, change)) continue;
      this.found.push(change);
      this.bytes += valueBytes(change);
      if (this.full) return 'taken';
    }
    this.position = Math.max(this.position, through);
    return 'taken';
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
