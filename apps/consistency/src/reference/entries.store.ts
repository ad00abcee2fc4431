import { Injectable } from '@nestjs/common';
import { type Clock, invariant, sleep } from '#libs/kernel';
import { PrimaryPool } from '#libs/postgres';
import { type DigestedEntry, type WalkSource, walkPinned } from '#libs/replica';
import type { KeyName, Pin } from '../domain/comparison/pin.js';
import { CHANGED_SINCE, ENTRIES_PAGE } from './entries.sql.js';

/** Few enough that adding them up does not hold up the event loop. */
const PAGE_ENTRIES = 1_000;
const ENTRIES_PER_S = 100_000;

/** `config.entries` at one version, as often as it is read. */
export interface EntriesAt {
  pin: Pin;
  /** All of them once, without values: what digests are made of. Those that only the log could tell come last. */
  pages(): AsyncIterable<DigestedEntry[]>;
  /** How long it rested between pages, so as not to read faster than it may. */
  readonly restedMs: number;
}

/** Reads the state in the database as of one version, at a bounded rate, and holds no snapshot of it meanwhile. */
@Injectable()
export class EntriesStore {
  constructor(
    private readonly pool: PrimaryPool,
    private readonly clock: Clock,
  ) {}

  async atHead<T>(use: (entries: EntriesAt) => Promise<T>): Promise<T> {
    const { rows } = await this.pool.query<Pin>({
      name: 'consistency.pin',
      text: `select version, encode(chain, 'hex') as chain from config.head where id = 1`,
    });
    invariant(rows[0], 'config.head has no row');
    return use(new PinnedEntries(rows[0], this.pool, this.clock));
  }
}

class PinnedEntries implements EntriesAt, WalkSource<DigestedEntry> {
  restedMs = 0;

  constructor(
    readonly pin: Pin,
    private readonly pool: PrimaryPool,
    private readonly clock: Clock,
  ) {}

  pages(): AsyncGenerator<DigestedEntry[], void> {
    return walkPinned(this.pin, this);
  }

  async page({ namespace, key }: KeyName): Promise<{ head: Pin; entries: DigestedEntry[] }> {
    const begunMs = this.clock.monotonicMs();
    const { rows } = await this.pool.query<EntryRow>({
      name: 'consistency.entries-page',
      text: ENTRIES_PAGE,
      values: [namespace, key, PAGE_ENTRIES],
    });
    const [first] = rows;
    invariant(first, 'config.head has no row');
    const entries = rows.filter(isEntry);
    if (entries.length === PAGE_ENTRIES) await this.rest(this.clock.monotonicMs() - begunMs);
    return { head: { version: first.headVersion, chain: first.headChain }, entries };
  }

  async touched({ from, to }: { from: number; to: number }, { namespace, key }: KeyName) {
    const { rows } = await this.pool.query<TouchedKeyRow>({
      name: 'consistency.changed-since',
      text: CHANGED_SINCE,
      values: [from, to, namespace, key, PAGE_ENTRIES],
    });
    return rows.map((row) => {
      const { touchedAt, ...entry } = row;
      const { namespace, key } = row;
      return { namespace, key, touchedAt, entry: isEntry(entry) ? entry : undefined };
    });
  }

  async chains(versions: readonly number[]): Promise<Map<number, string>> {
    const { rows } = await this.pool.query<Pin>({
      name: 'consistency.chains',
      text: `select version, encode(chain, 'hex') as chain from config.changes where version = any($1::int8[])`,
      values: [versions],
    });
    return new Map(rows.map(({ version, chain }) => [version, chain]));
  }

  private async rest(tookMs: number): Promise<void> {
    const forMs = PAGE_ENTRIES / (ENTRIES_PER_S / 1_000) - tookMs;
    if (forMs < 1) return;
    const begunMs = this.clock.monotonicMs();
    await sleep(forMs);
    this.restedMs += this.clock.monotonicMs() - begunMs;
  }
}

type NoEntry = { version: null };
type EntryRow = { headVersion: number; headChain: string } & (DigestedEntry | NoEntry);
type TouchedKeyRow = KeyName & { touchedAt: number } & (DigestedEntry | NoEntry);

function isEntry<T extends DigestedEntry | NoEntry>(row: T): row is T & DigestedEntry {
  return row.version !== null;
}
