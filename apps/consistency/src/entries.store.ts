import { Injectable } from '@nestjs/common';
import { type Clock, invariant, sleep } from '#libs/kernel';
import { PrimaryPool, type Queryable } from '#libs/postgres';
import type { DigestedEntry } from '#libs/replica';
import type { Pin } from './domain/pin.js';

/** Few enough that adding them up does not hold up the event loop. */
const PAGE_ENTRIES = 1_000;
const ENTRIES_PER_S = 100_000;

/** `config.entries` at one version, as often as it is read. */
export interface EntriesAt {
  pin: Pin;
  /** In the order of namespace and key, and without values: what digests are made of. */
  pages(): AsyncIterable<DigestedEntry[]>;
  /** How long it rested between pages, so as not to read faster than it may. */
  readonly restedMs: number;
}

/** Reads the state in the database from one snapshot, at a bounded rate. */
@Injectable()
export class EntriesStore {
  constructor(
    private readonly pool: PrimaryPool,
    private readonly clock: Clock,
  ) {}

  /** `use` is bounded by its own work: the snapshot keeps the database from cleaning up behind it. */
  atHead<T>(use: (entries: EntriesAt) => Promise<T>): Promise<T> {
    return this.pool.readTransaction(
      'begin transaction isolation level repeatable read, read only',
      async (tx) => {
        // Longer than a statement may take; a running timer is only stopped by 0.
        await tx.query({ text: 'set local transaction_timeout = 0' });
        await tx.query({ text: 'set local idle_in_transaction_session_timeout = 10000' });
        const { rows } = await tx.query<Pin>({
          text: `select version, encode(chain, 'hex') as chain from config.head where id = 1`,
        });
        invariant(rows[0], 'config.head has its one row');
        return use(new Snapshot(rows[0], tx, this.clock));
      },
    );
  }
}

class Snapshot implements EntriesAt {
  restedMs = 0;

  constructor(
    readonly pin: Pin,
    private readonly tx: Queryable,
    private readonly clock: Clock,
  ) {}

  async *pages(): AsyncGenerator<DigestedEntry[], void> {
    let after: [namespace: string, key: string] = ['', ''];
    for (;;) {
      const begunMs = this.clock.monotonicMs();
      const rows = await this.page(after);
      const last = rows.at(-1);
      if (last === undefined) return;
      after = [last.namespace, last.key];
      yield rows;
      if (rows.length === PAGE_ENTRIES) await this.rest(this.clock.monotonicMs() - begunMs);
    }
  }

  private async page(after: readonly [namespace: string, key: string]): Promise<DigestedEntry[]> {
    const { rows } = await this.tx.query<DigestedEntry>({
      name: 'consistency.entries-page',
      text: `select namespace, key, version, content_type as "contentType",
          'sha256:' || encode(checksum, 'hex') as checksum
        from config.entries where (namespace, key) > ($1, $2) order by namespace, key limit ${PAGE_ENTRIES}`,
      values: [...after],
    });
    return rows;
  }

  private async rest(tookMs: number): Promise<void> {
    const forMs = PAGE_ENTRIES / (ENTRIES_PER_S / 1_000) - tookMs;
    if (forMs < 1) return;
    const begunMs = this.clock.monotonicMs();
    await sleep(forMs);
    this.restedMs += this.clock.monotonicMs() - begunMs;
  }
}
