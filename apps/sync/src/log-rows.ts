import type { Change, Operation } from '#libs/contracts';
import { invariant } from '#libs/kernel';

/**
 * $1 after, $2 limit, $3 bytes. Bytes are bytes here: text would have to be decoded twice. The floor is that of the same
 * moment; there is always a row that has it.
 */
export const LOG_PAGE = `with f as (select coalesce(max(floor), 1) as floor from config.log_floors), c as (
    select p.*, sum(bytes) over (order by version) as total
    from (select * from config.changes where version > $1 order by version limit $2) as p
  )
  select f.floor, c.version, c.term, c.chain, c.kind, c.lost_from, c.lost_to, c.author, c.comment, c.created_at,
    o.op, o.namespace, o.key, o.value, o.content_type, o.checksum
  from f left join c on f.floor <= $1 + 1 and (c.total <= $3 or c.version = $1 + 1)
  left join config.change_ops as o on o.version = c.version
  order by c.version, o.ordinal`;

/** One operation of a change; a change without operations has one row, in which they are null. */
interface SyncLogRow {
  version: number;
  term: number;
  chain: Buffer;
  kind: 'change' | 'lost';
  lost_from: number | null;
  lost_to: number | null;
  author: string | null;
  comment: string | null;
  created_at: Date;
  op: 'put' | 'delete' | null;
  namespace: string | null;
  key: string | null;
  value: Buffer | null;
  content_type: string | null;
  checksum: Buffer | null;
}

/** A page without changes has one row, with the floor alone. */
export type SyncPageRow = (SyncLogRow | { [column in keyof SyncLogRow]: null }) & { floor?: number };

export function pageOf(rows: readonly SyncPageRow[], after: number): Change[] | 'compacted' {
  if ((rows[0]?.floor ?? 1) > after + 1) return 'compacted';
  return changesOf(rows.filter((row): row is SyncLogRow => row.version !== null));
}

function changesOf(rows: readonly SyncLogRow[]): Change[] {
  const changes: Change[] = [];
  for (const row of rows) {
    let change = changes.at(-1);
    if (change?.version !== row.version) {
      change = headerOf(row);
      changes.push(change);
    }
    const operation = operationOf(row);
    if (operation) change.operations.push(operation);
  }
  return changes;
}

function headerOf(row: SyncLogRow): Change {
  const { version, term, kind, author, comment, lost_from: from, lost_to: to } = row;
  const lost = from !== null && to !== null ? { lost: { from, to } } : {};
  const [chain, createdAt] = [row.chain.toString('hex'), row.created_at.toISOString()];
  return { version, term, chain, kind, ...lost, author, comment, createdAt, operations: [] };
}

function operationOf(row: SyncLogRow): Operation | undefined {
  const { op, namespace, key, value, content_type: contentType, checksum } = row;
  if (op === null || namespace === null || key === null) return undefined;
  if (op === 'delete') return { op, namespace, key };
  invariant(
    value !== null && contentType !== null && checksum !== null,
    'a put has a value, a type and a checksum',
  );
  const text = `sha256:${checksum.toString('hex')}`;
  return { op, namespace, key, value, contentType, checksum: text };
}
