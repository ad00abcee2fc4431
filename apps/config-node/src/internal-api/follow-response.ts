import type { Change } from '#libs/contracts';
import { crashOnDefect } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { StoredHistory } from '../history/stored-history.js';
import type { Leadership } from '../leadership/leadership.js';
import type { ReplicaHost, Reset } from '../replica/replica-host.js';
import type { LogOutput } from './log-output.js';

const PAGE_CHANGES = 500;
const PAGE_BYTES = 1024 * 1024;
const HEAD_EVERY_MS = 500;

/**
 * The log, for as long as the other side reads: from memory, older changes from the database. It is
 * pulled at the reader's pace, so that nothing piles up for a slow one.
 */
export class FollowResponse {
  private reset: Reset | undefined;
  private wake: (() => void) | undefined;
  private readonly stops: (() => void)[];

  constructor(
    private after: number,
    private readonly out: LogOutput,
    private readonly host: ReplicaHost,
    private readonly leadership: Leadership,
    private readonly store: StoredHistory,
    private readonly logger: Logger,
  ) {
    this.stops = [
      host.onApplied(() => this.wake?.()),
      host.onReset((reset) => {
        if (reset.reason === 'diverged') this.reset = reset;
        this.wake?.();
      }),
    ];
  }

  async serve(): Promise<void> {
    this.stops.push(this.out.onClose(() => this.wake?.()));
    try {
      await this.writeHead();
      while (!this.out.ended) {
        if (this.reset !== undefined) await this.writeReset(this.reset);
        const changes = await this.next();
        if (changes.length > 0) await this.writeChanges(changes);
        else if (await this.rest()) await this.writeHead();
      }
    } finally {
      for (const stop of this.stops) stop();
    }
  }

  private async next(): Promise<Change[]> {
    const { replica } = this.host;
    if (this.after >= replica.version) return [];
    const changes = replica.changesAfter(this.after, PAGE_CHANGES, PAGE_BYTES);
    if (changes !== 'compacted') return changes;
    try {
      const logged = await this.store.log.changesAfter(this.after, PAGE_CHANGES, PAGE_BYTES);
      const first = logged === 'compacted' ? undefined : logged[0];
      if (logged !== 'compacted' && first && (first.lost?.from ?? first.version) === this.after + 1) {
        return logged;
      }
    } catch (error) {
      crashOnDefect(error);
      this.logger.debug({ error, after: this.after }, 'the log before this memory cannot be read');
    }
    this.reset = { version: replica.version, reason: 'compacted' };
    return [];
  }

  private async writeChanges(changes: readonly Change[]): Promise<void> {
    this.after = changes.at(-1)?.version ?? this.after;
    await this.out.changes(changes);
  }

  private async writeReset(reset: Reset): Promise<void> {
    this.reset = undefined;
    this.after = reset.version;
    await this.out.notice({ reset });
  }

  private async writeHead(): Promise<void> {
    const { replica, term } = this.host;
    const head = { term, version: replica.version, chain: replica.chain };
    await this.out.notice({ head, leaderId: this.leadership.leaderId });
  }

  /** Until there is something to tell, or it is time for a sign of life (true). */
  private async rest(): Promise<boolean> {
    if (this.reset !== undefined || this.after < this.host.replica.version) return false;
    return new Promise<boolean>((resolve) => {
      const done = (timeIsOver: boolean) => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve(timeIsOver);
      };
      const timer = setTimeout(() => done(true), HEAD_EVERY_MS);
      this.wake = () => done(false);
    });
  }
}
