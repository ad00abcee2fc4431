import { z } from 'zod';
import { Counter } from './bus/counters.js';
import { valueFromJson, valueToJson } from './http/json-value.js';

/**
 * A change as processes hold it: one version, one or more operations, atomic.
 * `chain` is the hash over the previous chain and this change's content (see libs/replica), 64 hex digits.
 * Kind `lost` carries no operations: it marks versions that the database lost (`lost` = from..to, inclusive).
 */
export interface Change {
  version: number;
  term: number;
  chain: string;
  kind: 'change' | 'lost';
  lost?: { from: number; to: number };
  author: string | null;
  comment: string | null;
  /** RFC 3339, UTC, milliseconds, from the database's clock. */
  createdAt: string;
  operations: Operation[];
}

export type Operation = PutOperation | DeleteOperation;

export interface PutOperation {
  op: 'put';
  namespace: string;
  key: string;
  value: Buffer;
  contentType: string;
  /** `sha256:` and 64 hex digits, over the value's bytes. */
  checksum: string;
}

export interface DeleteOperation {
  op: 'delete';
  namespace: string;
  key: string;
}

const Version = Counter;
export const ChainHex = z.string().regex(/^[0-9a-f]{64}$/);

export const WireOperation = z.discriminatedUnion('op', [
  z.object({
    op: z.literal('put'),
    namespace: z.string(),
    key: z.string(),
    value: z.string(),
    encoding: z.literal('base64').optional(),
    contentType: z.string(),
    checksum: z.string(),
  }),
  z.object({ op: z.literal('delete'), namespace: z.string(), key: z.string() }),
]);
export type WireOperation = z.infer<typeof WireOperation>;

/** A change in JSON, between processes. Values that are not text travel as base64 (see json-value.ts). */
export const WireChange = z.object({
  version: Version,
  term: Version,
  chain: ChainHex,
  kind: z.enum(['change', 'lost']),
  lost: z.object({ from: Version, to: Version }).optional(),
  author: z.string().nullable(),
  comment: z.string().nullable(),
  createdAt: z.string(),
  operations: z.array(WireOperation),
});
export type WireChange = z.infer<typeof WireChange>;

export function changeToWire(change: Change): WireChange {
  return {
    version: change.version,
    term: change.term,
    chain: change.chain,
    kind: change.kind,
    ...(change.lost ? { lost: change.lost } : {}),
    author: change.author,
    comment: change.comment,
    createdAt: change.createdAt,
    operations: change.operations.map(operationToWire),
  };
}

export function changeFromWire(wire: WireChange): Change {
  return {
    version: wire.version,
    term: wire.term,
    chain: wire.chain,
    kind: wire.kind,
    ...(wire.lost ? { lost: wire.lost } : {}),
    author: wire.author,
    comment: wire.comment,
    createdAt: wire.createdAt,
    operations: wire.operations.map(operationFromWire),
  };
}

function operationToWire(op: Operation): WireOperation {
  if (op.op === 'delete') return { op: 'delete', namespace: op.namespace, key: op.key };
  return {
    op: 'put',
    namespace: op.namespace,
    key: op.key,
    ...valueToJson(op.value),
    contentType: op.contentType,
    checksum: op.checksum,
  };
}

function operationFromWire(wire: WireOperation): Operation {
  if (wire.op === 'delete') return { op: 'delete', namespace: wire.namespace, key: wire.key };
  return {
    op: 'put',
    namespace: wire.namespace,
    key: wire.key,
    value: valueFromJson(wire),
    contentType: wire.contentType,
    checksum: wire.checksum,
  };
}
