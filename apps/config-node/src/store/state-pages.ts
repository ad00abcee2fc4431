import type { Queryable } from '#libs/postgres';
import { checksumText } from './log-rows.js';
import type { StoredEntry } from './store.types.js';

/** Entries in the order of namespace and key, page after page. */
export type EntryPages = AsyncIterable<StoredEntry[]>;

/** Small enough that decoding a page does not hold up the event loop of a node that serves reads meanwhile. */
const PAGE_ENTRIES = 500;
const PAGE_BYTES = 2 * 1024 * 1024;

interface EntryRow {
  namespace: string;
  key: string;
  value: Buffer;
  content_type: string;
  checksum: Buffer;
  version: number;
  created_at: Date;
}

/** Bounded by count and by bytes: a size is known without reading its value. */
const PAGE = `
select namespace, key, value, content_type, checksum, version, created_at from (
  select *, sum(octet_length(value)) over w as bytes_so_far, row_number() over w as nth
  from (select * from config.entries where (namespace, key) > ($1, $2) order by namespace, key limit $3) as next
  window w as (order by namespace, key)
) as sized
where bytes_so_far <= $4 or nth = 1 order by namespace, key`;

/** Reads `config.entries` to its end; `tx` decides of which moment. */
export async function* entryPages(tx: Queryable): AsyncGenerator<StoredEntry[], void> {
  let after: [namespace: string, key: string] = ['', ''];
  for (;;) {
    const { rows } = await tx.query<EntryRow>({
      name: 'entries-page',
      text: PAGE,
      values: [...after, PAGE_ENTRIES, PAGE_BYTES],
    });
    const last = rows.at(-1);
    if (!last) return;
    after = [last.namespace, last.key];
    yield rows.map(entryOf);
  }
}

function entryOf(row: EntryRow): StoredEntry {
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
