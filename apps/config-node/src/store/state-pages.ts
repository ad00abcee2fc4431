import { invariant } from '#libs/kernel';
import type { PrimaryPool } from '#libs/postgres';
import { type HistoryMark, type WalkedKey, type WalkSource, walkPinned } from '#libs/replica';
import type { StoredEntry } from '../domain/log.types.js';
import { checksumText } from './log-rows.js';
import { CHAINS, ENTRIES_PAGE, ENTRIES_TOUCHED } from './sql/state-pages.sql.js';

/** The entries of one state, each once, page after page. */
export type EntryPages = AsyncIterable<StoredEntry[]>;

/** Small enough that decoding a page does not hold up the event loop of a node that serves reads meanwhile. */
const PAGE_ENTRIES = 500;
const PAGE_BYTES = 2 * 1024 * 1024;

interface EntryColumns {
  namespace: string;
  key: string;
  value: Buffer;
  content_type: string;
  checksum: Buffer;
  version: number;
  created_at: Date;
}
type NoEntryColumns = { version: null };
type StatePageRow = { head_version: number; head_chain: string } & (EntryColumns | NoEntryColumns);
type TouchedEntryRow = WalkedKey & { touched_at: number } & (EntryColumns | NoEntryColumns);

/** The state at `head`, read while it moves on; the last page proves it (libs/replica/src/digest/pinned-walk.ts). */
export function statePages(pool: PrimaryPool, head: HistoryMark): AsyncGenerator<StoredEntry[], void> {
  return walkPinned(head, new StateSource(pool));
}

class StateSource implements WalkSource<StoredEntry> {
  constructor(private readonly pool: PrimaryPool) {}

  async page(after: WalkedKey): Promise<{ head: HistoryMark; entries: StoredEntry[] }> {
    const { rows } = await this.pool.queryAnyReadable<StatePageRow>({
      name: 'entries-page',
      text: ENTRIES_PAGE,
      values: [after.namespace, after.key, PAGE_ENTRIES, PAGE_BYTES],
    });
    const [first] = rows;
    invariant(first, 'config.head has no row');
    const head = { version: first.head_version, chain: first.head_chain };
    return { head, entries: rows.filter(isEntry).map(entryOf) };
  }

  async touched({ from, to }: { from: number; to: number }, after: WalkedKey) {
    const { rows } = await this.pool.queryAnyReadable<TouchedEntryRow>({
      name: 'entries-touched',
      text: ENTRIES_TOUCHED,
      values: [from, to, after.namespace, after.key, PAGE_ENTRIES, PAGE_BYTES],
    });
    return rows.map((row) => ({
      ...{ namespace: row.namespace, key: row.key, touchedAt: row.touched_at },
      entry: isEntry(row) ? entryOf(row) : undefined,
    }));
  }

  async chains(versions: readonly number[]): Promise<Map<number, string>> {
    const { rows } = await this.pool.queryAnyReadable<HistoryMark>({
      name: 'chains',
      text: CHAINS,
      values: [versions],
    });
    return new Map(rows.map(({ version, chain }) => [version, chain]));
  }
}

function isEntry<T extends EntryColumns | NoEntryColumns>(row: T): row is T & EntryColumns {
  return row.version !== null;
}

function entryOf(row: EntryColumns): StoredEntry {
  return {
    namespace: row.namespace,
    key: row.key,
    value: row.value,
    contentType: row.content_type,
    checksum: checksumText(row.checksum),
    version: row.version,
    updatedAt: row.created_at.toISOString(),
  };
}
