import { crashOnDefect, messageOf, type Repeating, repeat, sleep } from '#libs/kernel';
import type { BusLogger } from '../connection.js';
import type { EventOutbox, OutboxEvent } from './event-outbox.js';

/** Something that happened, and what the world is told of it. */
export interface JournalEntry {
  facts: readonly OutboxEvent[];
}

/** Where entries are kept; of one that somebody else has written first (`taken`) nothing is told. */
export interface JournalRows<E extends JournalEntry> {
  save(entry: E): Promise<'saved' | 'taken'>;
}

interface Queued<E> {
  entry: E;
  announced: boolean;
}

const MAX_QUEUED = 5_000;
const RETRY_EVERY_MS = 500;
/** News does not wait longer than this for its row. */
const PATIENCE_MS = 150;

/**
 * Writes what happened, in order, and tells the world: row first, then message. Without the database the message goes
 * out alone and the row follows when it can be written; the oldest are given up when too many wait.
 */
export class EventJournal<E extends JournalEntry> {
  private readonly queue: Queued<E>[] = [];
  private readonly telling = new Set<Promise<void>>();
  private readonly loop: Repeating;
  private lost = 0;
  private complained: 'waiting' | 'failing' | undefined;
  private onTaken: (entry: E) => Promise<void> = async () => undefined;

  constructor(
    private readonly rows: JournalRows<E>,
    private readonly outbox: EventOutbox,
    private readonly logger: BusLogger,
  ) {
    this.loop = repeat(() => this.drain(), {
      everyMs: RETRY_EVERY_MS,
      onError: (error) => this.logFailure(error),
    });
  }

  /** Told when another instance had written the same first. */
  whenTaken(listener: (entry: E) => Promise<void>): void {
    this.onTaken = listener;
  }

  add(entry: E): void {
    if (this.queue.length >= MAX_QUEUED) {
      this.queue.shift();
      this.lost++;
    }
    this.queue.push({ entry, announced: false });
    this.loop.trigger();
  }

  get waiting(): number {
    return this.queue.length;
  }

  async stop(): Promise<void> {
    await this.loop.stop();
    await Promise.all(this.telling);
  }

  /** Sent at once, in order; that it was stored is waited for in the background. */
  private track(announced: Promise<void>): void {
    const telling: Promise<void> = announced
      .catch((error: unknown) => this.logFailure(error))
      .finally(() => this.telling.delete(telling));
    this.telling.add(telling);
  }

  private async drain(): Promise<void> {
    for (let first = this.queue[0]; first; first = this.queue[0]) {
      const outcome = await this.save(first);
      this.complained = undefined;
      if (this.queue[0] === first) this.queue.shift();
      if (outcome === 'taken') await this.onTaken(first.entry);
      else if (!first.announced) for (const fact of first.entry.facts) this.track(this.outbox.announce(fact));
    }
  }

  private async save(queued: Queued<E>): Promise<'saved' | 'taken'> {
    const saving = this.rows.save(queued.entry);
    try {
      const early = await Promise.race([saving, sleep(PATIENCE_MS).then(() => 'slow' as const)]);
      if (early !== 'slow') return early;
      this.announceAll();
      return await saving;
    } catch (error) {
      this.announceAll();
      throw error;
    }
  }

  private announceAll(): void {
    for (const queued of this.queue) {
      if (queued.announced) continue;
      queued.announced = true;
      for (const fact of queued.entry.facts) this.track(this.outbox.announceUnrecorded(fact));
    }
  }

  /** Loud once, until an entry could be written again. */
  private logFailure(error: unknown): void {
    crashOnDefect(error);
    const reason = messageOf(error);
    // Of a cluster that is just being set up: nothing is wrong.
    const isWaiting = error instanceof Error && error.name === 'NotMigrated';
    const complaint = isWaiting ? 'waiting' : 'failing';
    const level = this.complained === complaint ? 'debug' : isWaiting ? 'info' : 'warn';
    this.complained = complaint;
    this.logger[level](
      { reason, waiting: this.queue.length, lost: this.lost },
      'facts wait for the database',
    );
  }
}
