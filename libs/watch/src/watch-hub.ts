import { type Change, Problem } from '#libs/contracts';
import { type Clock, systemClock } from '#libs/kernel';
import { SLOW_POLICY, type SlowPolicy } from './domain/slow-consumer.js';
import {
  type EndReason,
  type ResetReason,
  WatchCursor,
  type WatchSend,
  type WatchStart,
} from './domain/watch-cursor.js';
import { concerns } from './domain/watch-filter.js';
import { noticeFrame, RETRY_FRAME } from './events.js';
import { FilterIndex } from './filter-index.js';
import { FrameCache } from './frame-cache.js';
import { CatchUp } from './history/catch-up.js';
import type { ChangeSource, SourceReset } from './history/change-source.js';
import { OlderPages } from './history/older-pages.js';
import { PresentPages } from './history/present-pages.js';
import { SharedRequest } from './history/shared-request.js';
import { listPresent } from './http/listing.js';
import { type LongPollAnswer, LongPolls, type PollStart } from './http/long-polls.js';
import type { WatchSink } from './http/watch-sink.js';
import { TimerWheel } from './timer-wheel.js';
import { Watcher } from './watcher.js';

export interface WatchHubOptions {
  source: ChangeSource;
  clock?: Clock;
  slowPolicy?: SlowPolicy;
  maxWatchers?: number;
  /** Told of what went wrong for one watcher or one page; the hub goes on. */
  onError: (error: unknown) => void;
  /** Told when the server ends a stream, and why. */
  onEnded?: (reason: EndReason | ResetReason) => void;
}

/** What the HTTP side tells of its client. */
export interface WatcherHandle {
  /** What was written has gone out. */
  drained(): void;
  /** The connection is closed. */
  left(): void;
}

const TICK_MS = 250;
/** How often it is asked where the history ends, while watchers wait for what is beyond it here. */
const TICKS_BETWEEN_QUESTIONS = 8;
/** How long offering changes may keep the event loop. */
const SLICE_MS = 8;
/** How long a stream that was ended may take to deliver its last event. */
const LINGER_MS = 2_000;
const MAX_WATCHERS = 20_000;

/**
 * Feeds all watchers of a process from one source. Those level with the log are offered each change as it comes,
 * found by namespace and encoded once for each set of its operations; those behind take turns reading pages. One timer serves them all.
 */
export class WatchHub {
  private head: number;
  private readonly watchers = new Set<Watcher>();
  private readonly index = new FilterIndex<Watcher>();
  private readonly turns = new TimerWheel<Watcher>();
  /** Since when they wait. */
  private readonly waiting = new Map<Watcher, number>();
  private readonly blocked = new Set<Watcher>();
  private readonly lingering = new Map<Watcher, number>();
  private readonly frames = new FrameCache();
  private readonly pages: OlderPages;
  private readonly presentPages: PresentPages;
  private readonly newest: SharedRequest<number | undefined>;
  private readonly catchUp: CatchUp;
  private readonly polls: LongPolls;
  private readonly clock: Clock;
  private readonly timer: NodeJS.Timeout;
  private readonly detach: (() => void)[];
  private stopping = false;
  private ticks = 0;

  constructor(private readonly options: WatchHubOptions) {
    const { source, onError } = options;
    this.clock = options.clock ?? systemClock;
    this.head = source.version;
    this.pages = new OlderPages(source);
    this.newest = new SharedRequest(() => source.newestVersion());
    this.presentPages = new PresentPages(source);
    this.catchUp = new CatchUp({
      source,
      pages: this.pages,
      clock: this.clock,
      head: () => this.head,
      send: (watcher, sends) => this.send(watcher, sends),
      onError,
    });
    this.polls = new LongPolls({
      source,
      pages: this.pages,
      frames: this.frames,
      newest: this.newest,
      clock: this.clock,
      head: () => this.head,
    });
    this.detach = [
      source.onChanges((changes) => this.deliver(changes)),
      source.onReset((reset) => this.replace(reset)),
    ];
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.timer.unref();
  }

  /** For metrics. */
  get counts(): { watchers: number; blocked: number; longPolls: number } {
    return { watchers: this.watchers.size, blocked: this.blocked.size, longPolls: this.polls.size };
  }

  /** Whether a watch can begin there now: throws the Problem to answer with while that is still possible. */
  async admit({ from, filter }: Pick<WatchStart, 'from' | 'filter'>): Promise<void> {
    if (this.stopping) throw new Problem('shutting-down', 'watch another node');
    if (this.watchers.size + this.polls.size >= (this.options.maxWatchers ?? MAX_WATCHERS)) {
      throw new Problem('cluster-busy', 'this process has as many watchers as it can take');
    }
    if (from === undefined || from >= this.head) return;
    if (this.options.source.recent(from, 1, 1) === 'older') {
      await this.pages.after(from, filter.namespaces, 0);
    }
  }

  /** Begins a stream whose headers have been sent. */
  open(start: WatchStart, sink: WatchSink): WatcherHandle {
    const cursor = new WatchCursor(start, this.options.slowPolicy ?? SLOW_POLICY);
    const watcher = new Watcher(start.filter, cursor, sink);
    this.watchers.add(watcher);
    this.index.add(watcher.filter, watcher);
    this.turns.add(watcher);
    sink.write(RETRY_FRAME);
    this.send(watcher, cursor.open(this.head));
    if (cursor.mode === 'waiting') this.waiting.set(watcher, this.clock.monotonicMs());
    this.go(watcher);
    if (this.stopping) this.send(watcher, cursor.drain(this.head));
    return {
      drained: () => this.drained(watcher),
      left: () => this.forget(watcher),
    };
  }

  /** The long poll: changes after a version, or none when `waitMs` have passed without any. */
  async poll(start: PollStart, waitMs: number, signal: AbortSignal): Promise<LongPollAnswer> {
    return this.polls.poll(start, waitMs, signal);
  }

  /** Tells every watcher to go elsewhere, and takes no new ones. */
  drain(): void {
    this.stopping = true;
    this.polls.release();
    for (const watcher of this.watchers) this.send(watcher, watcher.cursor.drain(this.head));
  }

  /** Lets go of the source and of whoever is still there. */
  stop(): void {
    this.drain();
    clearInterval(this.timer);
    this.catchUp.stop();
    for (const detach of this.detach) detach();
    for (const watcher of this.lingering.keys()) watcher.sink.destroy();
    this.lingering.clear();
  }

  private deliver(changes: readonly Change[]): void {
    const fresh = changes.filter((change) => change.version > this.head);
    const last = fresh.at(-1);
    if (last === undefined) return;
    const previous = this.head;
    this.head = last.version;
    this.offer(fresh, previous);
    this.admitWaiting(fresh);
    this.polls.deliver(fresh);
  }

  /** To those who are level, for one slice of time; for the others it is as if they were behind: they take turns. */
  private offer(fresh: readonly Change[], previous: number): void {
    const untilMs = this.clock.monotonicMs() + SLICE_MS;
    for (const group of this.index.candidates(fresh)) {
      const matching = fresh.filter((change) => concerns(group.filter, change));
      let pieces: Buffer[] | undefined;
      for (const watcher of matching.length === 0 ? [] : group.members) {
        if (watcher.cursor.mode !== 'live') continue;
        if (this.clock.monotonicMs() > untilMs) {
          watcher.cursor.leapt(previous, this.head);
          this.catchUp.enqueue(watcher);
          continue;
        }
        watcher.cursor.offered(matching, this.head);
        pieces ??= this.frames.pieces(matching, group.filter);
        this.write(watcher, pieces);
      }
    }
  }

  private admitWaiting(fresh: readonly Change[]): void {
    if (this.waiting.size === 0) return;
    const losses = fresh.filter((change) => change.kind === 'lost');
    for (const watcher of this.waiting.keys()) {
      for (const loss of losses) this.send(watcher, watcher.cursor.lost(loss, this.head));
      this.send(watcher, watcher.cursor.advanced(this.head));
      if (watcher.cursor.mode === 'waiting') continue;
      this.waiting.delete(watcher);
      this.go(watcher);
    }
  }

  private replace({ version, reason }: SourceReset): void {
    const previous = this.head;
    this.head = version;
    if (reason === 'diverged') {
      this.frames.clear();
      this.pages.clear();
      this.presentPages.clear();
      for (const watcher of this.watchers) this.send(watcher, watcher.cursor.diverged(version));
      this.polls.wakeAll('diverged');
      return;
    }
    // The same history, further on: whoever was level reads what lies between from where the whole log is kept.
    for (const watcher of this.watchers) {
      watcher.cursor.leapt(previous, version);
      this.catchUp.enqueue(watcher);
    }
    this.admitWaiting([]);
    this.polls.wakeAll('news');
  }

  /** Sets the watcher to what its mode calls for. */
  private go(watcher: Watcher): void {
    if (watcher.cursor.mode === 'listing') this.list(watcher);
    else this.catchUp.enqueue(watcher);
  }

  private list(watcher: Watcher): void {
    const write = (pieces: readonly Buffer[]) => this.write(watcher, pieces);
    listPresent(this.presentPages, watcher, () => this.head, write).then(
      (outcome) => {
        if (outcome === 'left') return;
        const { cursor } = watcher;
        this.send(watcher, outcome === 'listed' ? cursor.listed(this.head) : cursor.listingFailed());
        this.catchUp.enqueue(watcher);
      },
      (error) => {
        this.options.onError(error);
        watcher.sink.destroy();
      },
    );
  }

  private send(watcher: Watcher, sends: readonly WatchSend[]): void {
    for (const send of sends) {
      if (send.type === 'changes') {
        this.write(watcher, this.frames.pieces(send.changes, watcher.filter));
        continue;
      }
      this.write(watcher, [noticeFrame(send)]);
      if (send.type === 'end' || send.type === 'reset') this.close(watcher, send.reason);
    }
  }

  private write(watcher: Watcher, pieces: readonly Buffer[]): void {
    for (const piece of pieces) watcher.sink.write(piece);
    watcher.cursor.written(watcher.sink.unreadBytes, this.head, this.clock.monotonicMs());
    if (watcher.cursor.blocked) this.blocked.add(watcher);
  }

  private drained(watcher: Watcher): void {
    if (!watcher.cursor.blocked) return;
    this.blocked.delete(watcher);
    watcher.cursor.drained(this.head);
    watcher.wake();
    this.catchUp.enqueue(watcher);
  }

  private tick(): void {
    const nowMs = this.clock.monotonicMs();
    for (const watcher of this.blocked) this.send(watcher, watcher.cursor.judge(this.head, nowMs));
    for (const watcher of this.turns.advance()) this.send(watcher, watcher.cursor.turn(this.head));
    this.catchUp.tick();
    this.ticks += 1;
    if (this.waiting.size > 0 && this.ticks % TICKS_BETWEEN_QUESTIONS === 1) this.judgeWaiting();
    for (const [watcher, sinceMs] of this.lingering) {
      if (nowMs - sinceMs < LINGER_MS) continue;
      watcher.sink.destroy();
      this.lingering.delete(watcher);
    }
  }

  /** Resets those who wait for a version of a history that is gone, once the database has said where its history ends. */
  private judgeWaiting(): void {
    const askedMs = this.clock.monotonicMs();
    const waiting = [...this.waiting];
    this.newest.ask().then((newest) => {
      if (newest === undefined) return;
      for (const [watcher, sinceMs] of waiting) {
        this.send(watcher, watcher.cursor.endsAt(newest, askedMs - sinceMs));
      }
    }, this.options.onError);
  }

  private close(watcher: Watcher, reason: EndReason | ResetReason): void {
    this.options.onEnded?.(reason);
    this.release(watcher);
    watcher.sink.end();
    this.lingering.set(watcher, this.clock.monotonicMs());
  }

  private forget(watcher: Watcher): void {
    watcher.cursor.left();
    this.release(watcher);
    this.lingering.delete(watcher);
  }

  private release(watcher: Watcher): void {
    this.watchers.delete(watcher);
    this.index.remove(watcher.filter, watcher);
    this.turns.remove(watcher);
    this.waiting.delete(watcher);
    this.blocked.delete(watcher);
    watcher.wake();
  }
}
