import { Injectable } from '@nestjs/common';
import { type Repeating, repeat, sleep } from '#libs/kernel';
import { type BusLogger, FactOutbox } from '#libs/messaging';
import { type Entry, RegistryStore } from './registry.store.js';

interface Queued {
  entry: Entry;
  announced: boolean;
}

const MAX_QUEUED = 5_000;
const RETRY_EVERY_MS = 500;
/** News does not wait longer than this for its row. */
const PATIENCE_MS = 150;

/**
 * Writes what happened to members, in order, and tells the world: row first, then message. Without the database the
 * message goes out alone and the row follows when it can be written; the oldest are given up when too many wait.
 */
@Injectable()
export class Journal {
  private readonly queue: Queued[] = [];
  private readonly telling = new Set<Promise<void>>();
  private readonly loop: Repeating;
  private lost = 0;
  private complained = false;
  private onTaken: (nodeId: string) => Promise<void> = async () => undefined;

  constructor(
    private readonly store: RegistryStore,
    private readonly outbox: FactOutbox,
    private readonly logger: BusLogger,
  ) {
    this.loop = repeat(() => this.drain(), {
      everyMs: RETRY_EVERY_MS,
      onError: (error) => this.complain(error),
    });
  }

  /** Told when another instance had moved the member's status first. */
  whenTaken(listener: (nodeId: string) => Promise<void>): void {
    this.onTaken = listener;
  }

  add(entry: Entry): void {
    if (this.queue.length >= MAX_QUEUED) {
      this.queue.shift();
      this.lost++;
    }
    this.queue.push({ entry, announced: false });
    this.loop.poke();
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
      .catch((error: unknown) => this.complain(error))
      .finally(() => this.telling.delete(telling));
    this.telling.add(telling);
  }

  private async drain(): Promise<void> {
    for (let first = this.queue[0]; first; first = this.queue[0]) {
      const outcome = await this.save(first);
      this.complained = false;
      if (this.queue[0] === first) this.queue.shift();
      if (outcome === 'taken') await this.onTaken(first.entry.record.nodeId);
      else if (!first.announced) for (const fact of first.entry.facts) this.track(this.outbox.announce(fact));
    }
  }

  private async save(queued: Queued): Promise<'saved' | 'taken'> {
    const saving = this.store.save(queued.entry);
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
  private complain(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const level = this.complained ? 'debug' : 'warn';
    this.complained = true;
    this.logger[level](
      { reason, waiting: this.queue.length, lost: this.lost },
      'members wait for the database',
    );
  }
}
