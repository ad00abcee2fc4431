import type { Change } from '#libs/contracts';
import { invariant } from '#libs/kernel';
import { isBeyondHistory } from './beyond-history.js';
import { isTooSlow, SLOW_POLICY, type SlowPolicy } from './slow-consumer.js';
import { concerns, type WatchFilter } from './watch-filter.js';

/**
 * Where one watcher stands in the log, and what it is sent next.
 *
 * waiting  the log here ends below the version the watcher has already seen: nothing but comments
 * listing  the present values are being sent, all of one version
 * behind   reads the log from its position on, page by page, until it is level with the end
 * live     is offered each change as it comes; its position is the end of the log
 * closed   has had its last word
 *
 * A watcher whose client does not read is *blocked*: it is sent nothing and keeps its position, so that a slow client
 * costs a number and not a queue; when the client has read what was under way, it is behind like any other.
 * Versions need not be dense: a change of kind `lost` leaps over the versions that the database lost.
 */
export type WatchMode = 'waiting' | 'listing' | 'behind' | 'live' | 'closed';

export type WatchSend =
  | { type: 'changes'; changes: readonly Change[] }
  | { type: 'bookmark'; version: number }
  | { type: 'comment' }
  | { type: 'reset'; version: number; reason: ResetReason }
  | { type: 'end'; version: number; reason: EndReason };

export type ResetReason = 'compacted' | 'diverged';
export type EndReason = 'slow' | 'draining';

export interface WatchStart {
  filter: WatchFilter;
  /** The last version already seen; 0 = everything that is retained; undefined = only what comes from now on. */
  from: number | undefined;
  /** Send the present values first. */
  initial: boolean;
}

/** A bookmark goes out at every turn, a comment at every third: turns come every 4 s (5 s and 15 s are promised). */
const TURNS_PER_COMMENT = 3;

export class WatchCursor {
  private current: WatchMode = 'waiting';
  private at: number;
  private blockedSinceMs: number | undefined;
  private turns = 0;
  private listingAt: number | undefined;

  constructor(
    private readonly start: WatchStart,
    private readonly policy: SlowPolicy = SLOW_POLICY,
  ) {
    this.at = start.from ?? 0;
  }

  get mode(): WatchMode {
    return this.current;
  }

  /** Everything that matches up to this version has been sent, and nothing above it. Of a live cursor: when it was last touched. */
  get position(): number {
    return this.at;
  }

  get blocked(): boolean {
    return this.blockedSinceMs !== undefined;
  }

  /** The version at which the present values are to be listed, once that has begun. */
  get listingVersion(): number | undefined {
    return this.listingAt;
  }

  /** The first step. `head` is the end of the log here. */
  open(head: number): WatchSend[] {
    if (this.start.from === undefined) this.at = head;
    return this.at > head ? [{ type: 'comment' }] : this.begin(head);
  }

  /** The log has grown to `head`: a waiting cursor may begin. */
  advanced(head: number): WatchSend[] {
    if (this.current !== 'waiting' || this.at > head) return [];
    return this.begin(head);
  }

  private begin(head: number): WatchSend[] {
    if (this.start.initial) {
      this.listingAt = head;
      this.current = 'listing';
      return [];
    }
    this.catchUpTo(head);
    return [{ type: 'bookmark', version: this.at }];
  }

  /** Nothing was sent yet, and the version of the listing cannot be listed any more: the present one is listed. */
  listAgain(head: number): void {
    invariant(this.current === 'listing', `a ${this.current} cursor was to list again`);
    this.listingAt = head;
  }

  /** The present values have all been sent. */
  listed(head: number): WatchSend[] {
    invariant(
      this.current === 'listing' && this.listingAt !== undefined,
      `a ${this.current} cursor has listed`,
    );
    this.at = this.listingAt;
    this.catchUpTo(head);
    return [{ type: 'bookmark', version: this.at }];
  }

  /** The present values cannot be sent as of one version. The history is not gone: asking again will do. */
  listingFailed(): WatchSend[] {
    if (this.current !== 'listing') return [];
    return this.close({ type: 'end', version: this.at, reason: 'slow' });
  }

  /** For a live cursor: the changes that concern it among those that brought the log to `head`. */
  offered(matching: readonly Change[], head: number): WatchSend[] {
    if (this.current !== 'live') return [];
    this.at = head;
    return matching.length === 0 ? [] : [{ type: 'changes', changes: matching }];
  }

  /** For a cursor that is behind: the log right after its position up to `through`, of which what concerns it is complete. */
  page({ changes, through }: { changes: readonly Change[]; through: number }, head: number): WatchSend[] {
    invariant(this.current === 'behind', `a ${this.current} cursor was given a page`);
    const matching: Change[] = [];
    for (const change of changes) {
      invariant(change.version > this.at, `version ${change.version} was to follow ${this.at}`);
      if (this.hasSeenLost(change)) return this.close({ type: 'reset', version: head, reason: 'diverged' });
      this.at = change.version;
      if (concerns(this.start.filter, change)) matching.push(change);
    }
    this.at = Math.max(this.at, through);
    this.catchUpTo(head);
    return matching.length === 0 ? [] : [{ type: 'changes', changes: matching }];
  }

  /** The log says that versions were lost: whoever waits at one of them has seen what is not true any more. */
  lost(change: Change, head: number): WatchSend[] {
    if (this.current !== 'waiting' || !this.hasSeenLost(change)) return [];
    return this.close({ type: 'reset', version: head, reason: 'diverged' });
  }

  /** The cluster's history ends at `newest`, as the database said after this cursor had waited for `waitedMs`. */
  endsAt(newest: number, waitedMs: number): WatchSend[] {
    if (this.current !== 'waiting' || !isBeyondHistory(this.at, newest, waitedMs)) return [];
    return this.close({ type: 'reset', version: newest, reason: 'diverged' });
  }

  private hasSeenLost({ lost }: Change): boolean {
    return lost !== undefined && this.at >= lost.from && this.at <= lost.to;
  }

  /** The log no longer reaches back to the position. */
  compacted(head: number): WatchSend[] {
    if (this.current === 'closed') return [];
    return this.close({ type: 'reset', version: Math.max(head, this.at), reason: 'compacted' });
  }

  /** The log was replaced by one that may contradict what was sent. `head` is its end. */
  diverged(head: number): WatchSend[] {
    if (this.current === 'closed') return [];
    return this.close({ type: 'reset', version: head, reason: 'diverged' });
  }

  /** The log here was replaced by a longer one with the same history: what lies between must be read. */
  leapt(previousHead: number, head: number): void {
    if (this.current === 'live') this.at = previousHead;
    if (this.current === 'live' || this.current === 'behind') this.catchUpTo(head);
  }

  /** After something was written: `unreadBytes` are still on their way. */
  written(unreadBytes: number, head: number, nowMs: number): void {
    if (this.current === 'closed' || this.blocked || unreadBytes <= this.policy.blockAboveBytes) return;
    this.blockedSinceMs = nowMs;
    if (this.current === 'live') {
      this.at = head;
      this.current = 'behind';
    }
  }

  /** The client has read what was under way. */
  drained(head: number): void {
    this.blockedSinceMs = undefined;
    if (this.current === 'behind') this.catchUpTo(head);
  }

  /** Once every few seconds. */
  turn(head: number): WatchSend[] {
    if (this.current === 'closed' || this.blocked) return [];
    this.turns += 1;
    const sends: WatchSend[] = [];
    const bookmarks = this.current === 'live' || this.current === 'behind';
    if (!bookmarks || this.turns % TURNS_PER_COMMENT === 0) sends.push({ type: 'comment' });
    if (this.current === 'live') this.at = head;
    if (bookmarks) sends.push({ type: 'bookmark', version: this.at });
    return sends;
  }

  /** Often, for a blocked cursor: whether its patience is at an end. */
  judge(head: number, nowMs: number): WatchSend[] {
    if (this.current === 'closed' || this.blockedSinceMs === undefined) return [];
    const behindVersions = this.current === 'behind' ? head - this.at : 0;
    if (!isTooSlow(this.policy, nowMs - this.blockedSinceMs, behindVersions)) return [];
    return this.close({ type: 'end', version: this.at, reason: 'slow' });
  }

  /** The process is about to stop. */
  drain(head: number): WatchSend[] {
    if (this.current === 'closed') return [];
    if (this.current === 'live') this.at = head;
    return this.close({ type: 'end', version: this.at, reason: 'draining' });
  }

  /** The client has gone. */
  left(): void {
    this.current = 'closed';
  }

  private catchUpTo(head: number): void {
    this.current = this.at < head || this.blocked ? 'behind' : 'live';
  }

  private close(last: WatchSend): WatchSend[] {
    this.current = 'closed';
    return [last];
  }
}
