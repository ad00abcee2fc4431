import type { ChangeModel, ConfigTables, FenceModel, OperationModel, Undo } from './config-tables.js';

export interface Result {
  rows: object[];
  rowCount: number;
}

/** What a statement did: its result, what it changed, and how to undo that. */
export interface Effect extends Result {
  undo?: Undo;
  committed?: ChangeModel[];
}

const ONE_ROW: Result = { rows: [], rowCount: 1 };
const NO_ROW: Result = { rows: [], rowCount: 0 };

/** ConfigStore's statements by their names, over the model: parameters in, rows out, as the driver has them. */
export const CONFIG_STATEMENTS: Readonly<
  Record<string, (tables: ConfigTables, values: readonly unknown[], atMs: number) => Effect>
> = {
  commit,
  'confirm-fence': (tables, values) => (tables.fences(fenceOf(values)) ? ONE_ROW : NO_ROW),
  'bump-attempt': (tables, values) => {
    const [term, leaderId, incarnation] = values as [number, string, number];
    const undo = tables.bump({ term, leaderId, incarnation });
    return undo === undefined ? NO_ROW : { ...headRow(tables), undo };
  },
  'read-head': (tables) => headRow(tables),
  barrier: (tables) => headRow(tables),
  'look-up-requests': (tables, [ids]) => rowsOf(lookUp(tables, ids as readonly string[])),
  'changes-after': (tables, [after, limit, maxBytes]) =>
    rowsOf(
      tables
        .changesAfter(after as number, limit as number, maxBytes as number)
        .flatMap((change) => logRows(change)),
    ),
  'changes-of-namespaces': (tables, [after, limit, maxBytes, namespaces, withLost]) => {
    const bounds = { after, limit, maxBytes } as { after: number; limit: number; maxBytes: number };
    const of = namespaces as readonly string[];
    const { page, through } = tables.touching(bounds, of, withLost as boolean);
    const found = page.flatMap((change) => logRows(change, of));
    return rowsOf(
      (found.length > 0 ? found : [{ version: null }]).map((row) => ({ ...row, floor: 1, through })),
    );
  },
  // The model has one place for the state and the log of a key: they cannot differ.
  'scrub-slice': () => NO_ROW,
  'entries-page': (tables, values) => entriesPage(tables, values as [string, string, number, number]),
  'entries-touched': (tables, values) =>
    rowsOf(entriesTouched(tables, values as [number, number, string, string, number, number])),
  chains: (tables, [versions]) =>
    rowsOf(tables.changes.filter(({ version }) => (versions as readonly number[]).includes(version))),
};

/** Statements that wait for the lock of the head row. */
export const LOCKS_HEAD: ReadonlySet<string> = new Set([
  'commit',
  'confirm-fence',
  'bump-attempt',
  'failover.claim',
]);

function rowsOf(rows: object[]): Result {
  return { rows, rowCount: rows.length };
}

function headRow({ head }: ConfigTables): Result {
  return { rows: [{ ...head }], rowCount: 1 };
}

export function fenceOf(values: readonly unknown[]): FenceModel {
  const [term, leaderId, incarnation, attempt, version, chain] = values;
  return {
    term: term as number,
    leaderId: leaderId as string,
    incarnation: incarnation as number,
    attempt: attempt as number,
    version: version as number,
    chain: (chain as Buffer).toString('hex'),
  };
}

function commit(tables: ConfigTables, values: readonly unknown[], atMs: number): Effect {
  const to = { version: values[6] as number, chain: (values[7] as Buffer).toString('hex') };
  const committed = tables.commit(fenceOf(values), to, batchOf(values.slice(8)), atMs);
  if (committed === undefined) return NO_ROW;
  const { undo, changes } = committed;
  return { rows: [{ at: new Date(atMs) }], rowCount: 1, undo, committed: changes };
}

type Column = readonly unknown[];

/** $9 and after, back into changes. */
function batchOf(columns: readonly unknown[]): Omit<ChangeModel, 'term' | 'createdAtMs'>[] {
  const [
    version,
    chain,
    kind,
    lostFrom,
    lostTo,
    author,
    comment,
    requestId,
    requestHash,
    requestKind,
    bytes,
  ] = columns as Column[] as [
    Column,
    Column,
    Column,
    Column,
    Column,
    Column,
    Column,
    Column,
    Column,
    Column,
    Column,
  ];
  const operations = operationsOf(columns[11] as Buffer, columns.slice(12) as Column[]);
  return version.map((number, i) => ({
    version: number as number,
    chain: (chain[i] as Buffer).toString('hex'),
    kind: kind[i] as 'change' | 'lost',
    lostFrom: lostFrom[i] as number | null,
    lostTo: lostTo[i] as number | null,
    author: author[i] as string | null,
    comment: comment[i] as string | null,
    requestId: requestId[i] as string | null,
    requestHash: requestHash[i] as Buffer | null,
    requestKind: requestKind[i] as string | null,
    bytes: bytes[i] as number,
    operations: operations.get(number as number) ?? [],
  }));
}

function operationsOf(all: Buffer, columns: readonly Column[]): Map<number, OperationModel[]> {
  const [version, , namespace, key, isPut, isLast, contentType, checksum, created, from, length] =
    columns as [Column, Column, Column, Column, Column, Column, Column, Column, Column, Column, Column];
  const byVersion = new Map<number, OperationModel[]>();
  for (const [i, number] of version.entries()) {
    const start = (from[i] as number) - 1;
    const value = isPut[i] ? Buffer.from(all.subarray(start, start + (length[i] as number))) : null;
    const operation = {
      namespace: namespace[i] as string,
      key: key[i] as string,
      isPut: isPut[i] as boolean,
      isLast: isLast[i] as boolean,
      value,
      contentType: contentType[i] as string | null,
      checksum: checksum[i] as Buffer | null,
      created: created[i] as boolean,
    };
    const before = byVersion.get(number as number);
    if (before === undefined) byVersion.set(number as number, [operation]);
    else before.push(operation);
  }
  return byVersion;
}

function changeRow(change: ChangeModel) {
  return {
    version: change.version,
    term: change.term,
    chain: Buffer.from(change.chain, 'hex'),
    kind: change.kind,
    lost_from: change.lostFrom,
    lost_to: change.lostTo,
    author: change.author,
    comment: change.comment,
    created_at: new Date(change.createdAtMs),
  };
}

function operationRow(operation: OperationModel, ordinal: number) {
  const { namespace, key, isPut, contentType, checksum, value, created } = operation;
  return {
    ordinal,
    namespace,
    key,
    op: isPut ? 'put' : 'delete',
    content_type: contentType,
    checksum,
    value,
    created,
  };
}

const NO_OPERATION = {
  ordinal: null,
  namespace: null,
  key: null,
  op: null,
  content_type: null,
  checksum: null,
  value: null,
  created: null,
};

/** A change joined with its operations: all, or those in some namespaces. */
export function logRows(change: ChangeModel, namespaces?: readonly string[]): object[] {
  const header = changeRow(change);
  const rows = change.operations.flatMap((operation, ordinal) =>
    namespaces === undefined || namespaces.includes(operation.namespace)
      ? [{ ...header, ...operationRow(operation, ordinal) }]
      : [],
  );
  return rows.length === 0 ? [{ ...header, ...NO_OPERATION }] : rows;
}

function lookUp(tables: ConfigTables, ids: readonly string[]): object[] {
  const found = ids.map((id) => tables.request(id)).filter((change) => change !== undefined);
  return found
    .sort((a, b) => a.version - b.version)
    .flatMap((change) => {
      const { requestId: request_id, requestHash: request_hash, requestKind: request_kind } = change;
      return logRows(change).map((row) => ({ ...row, request_id, request_hash, request_kind }));
    });
}

function entriesPage(
  tables: ConfigTables,
  [namespace, key, limit, maxBytes]: [string, string, number, number],
): Result {
  const head = { head_version: tables.head.version, head_chain: tables.head.chain };
  const rows: object[] = [];
  let bytes = 0;
  for (const entry of tables.sortedEntries()) {
    if (comparePair(entry, namespace, key) <= 0) continue;
    if (rows.length >= limit) break;
    bytes += entry.value.length;
    if (rows.length > 0 && bytes > maxBytes) break;
    const { contentType, createdAtMs, ...rest } = entry;
    rows.push({ ...head, ...rest, content_type: contentType, created_at: new Date(createdAtMs) });
  }
  return rowsOf(rows.length === 0 ? [{ ...head, version: null }] : rows);
}

function entriesTouched(
  tables: ConfigTables,
  [from, to, namespace, key, limit, maxBytes]: [number, number, string, string, number, number],
): object[] {
  const touched = new Map<string, { namespace: string; key: string; touched_at: number }>();
  const last = new Map<string, { change: ChangeModel; operation: OperationModel }>();
  for (const change of tables.changes) {
    for (const operation of change.operations) {
      const id = `${operation.namespace}\n${operation.key}`;
      if (change.version <= from) last.set(id, { change, operation });
      else if (change.version <= to && !touched.has(id) && comparePair(operation, namespace, key) > 0)
        touched.set(id, {
          namespace: operation.namespace,
          key: operation.key,
          touched_at: change.version,
        });
    }
  }
  const keys = [...touched].sort(([, a], [, b]) => comparePair(a, b.namespace, b.key)).slice(0, limit);
  const rows: object[] = [];
  let bytes = 0;
  for (const [id, row] of keys) {
    const { change, operation } = last.get(id) ?? {};
    bytes += operation?.value?.length ?? 0;
    if (rows.length > 0 && bytes > maxBytes) break;
    if (change === undefined || operation === undefined || !operation.isPut)
      rows.push({ ...row, version: null });
    else {
      const { value, contentType: content_type, checksum } = operation;
      const created_at = new Date(change.createdAtMs);
      rows.push({ ...row, version: change.version, value, content_type, checksum, created_at });
    }
  }
  return rows;
}

function comparePair(entry: { namespace: string; key: string }, namespace: string, key: string): number {
  const byNamespace = Buffer.compare(Buffer.from(entry.namespace), Buffer.from(namespace));
  return byNamespace !== 0 ? byNamespace : Buffer.compare(Buffer.from(entry.key), Buffer.from(key));
}
