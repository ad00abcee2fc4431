import type { Change, Operation } from '#libs/contracts';
import { invariant } from '#libs/kernel';

/** Columns of a change, as CHANGE_COLUMNS selects them from `config.changes as c`. */
export interface ChangeRow {
  version: number;
  term: number;
  chain: Buffer;
  kind: 'change' | 'lost';
  lost_from: number | null;
  lost_to: number | null;
  author: string | null;
  comment: string | null;
  created_at: Date;
}

/** One version of one key. */
export interface HistoryRow {
  version: number;
  term: number;
  op: 'put' | 'delete';
  content_type: string | null;
  checksum: Buffer | null;
  size: number;
  created: boolean;
  author: string | null;
  comment: string | null;
  created_at: Date;
}

/** Columns of an operation in `config.change_ops as o`; all null for a change that has none. */
export interface OperationRow {
  ordinal: number | null;
  namespace: string | null;
  key: string | null;
  op: 'put' | 'delete' | null;
  content_type: string | null;
  checksum: Buffer | null;
}

export const CHANGE_COLUMNS =
  'c.version, c.term, c.chain, c.kind, c.lost_from, c.lost_to, c.author, c.comment, c.created_at';
export const OPERATION_COLUMNS = 'o.ordinal, o.namespace, o.key, o.op, o.content_type, o.checksum';

export function changeHeader(row: ChangeRow): Omit<Change, 'operations'> {
  return {
    version: row.version,
    term: row.term,
    chain: row.chain.toString('hex'),
    kind: row.kind,
    ...(row.lost_from !== null && row.lost_to !== null
      ? { lost: { from: row.lost_from, to: row.lost_to } }
      : {}),
    author: row.author,
    comment: row.comment,
    createdAt: row.created_at.toISOString(),
  };
}

/** An operation without its value; undefined where the join found none. */
export function operationHeader(row: OperationRow) {
  const { namespace, key, op, content_type: contentType, checksum } = row;
  if (op === null) return undefined;
  invariant(namespace !== null && key !== null, 'a logged operation has no namespace or no key');
  if (op === 'delete') return { op, namespace, key } as const;
  invariant(contentType !== null && checksum !== null, 'a logged put has no content type or no checksum');
  return { op, namespace, key, contentType, checksum: checksumText(checksum) } as const;
}

export function checksumText(checksum: Buffer): string {
  return `sha256:${checksum.toString('hex')}`;
}

/** Rows of changes joined with their operations, in order, as changes. */
export function changesOf(rows: readonly (ChangeRow & OperationRow & { value: Buffer | null })[]): Change[] {
  const changes: Change[] = [];
  for (const row of rows) {
    let change = changes.at(-1);
    if (change?.version !== row.version) {
      change = { ...changeHeader(row), operations: [] };
      changes.push(change);
    }
    const operation = withValue(row);
    if (operation) change.operations.push(operation);
  }
  return changes;
}

function withValue(row: OperationRow & { value: Buffer | null }): Operation | undefined {
  const header = operationHeader(row);
  if (header?.op !== 'put') return header;
  invariant(row.value !== null, 'a logged put has no value');
  return { ...header, value: row.value };
}
