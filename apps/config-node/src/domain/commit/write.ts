import { type DeleteOperation, isStorableText, Problem, type PutOperation } from '#libs/contracts';
import type { WriteKind } from '../log.types.js';

/** What a write demands of a key as it stands when the write's turn comes. */
export type Precondition =
  | { type: 'version'; version: number }
  | { type: 'exists' }
  | { type: 'absent' }
  /** No version can meet it: `why` is a sentence for the client. */
  | { type: 'unmeetable'; why: string };

export type WriteOperation =
  | (PutOperation & { condition?: Precondition | undefined })
  | (DeleteOperation & { condition?: Precondition | undefined });

export interface WriteRequest {
  kind: WriteKind;
  idempotencyKey: string | null;
  /**
   * Over method, path and body: the same key with another hash is another request. SHA-256 when it is handed to the
   * publisher, which gives it the form that is stored.
   */
  requestHash: Buffer | null;
  /** The gateway made the key up just now, and this is the first attempt: nobody can have used it. */
  keyIsFresh: boolean;
  /** The term that this attempt aims at; of another term's leader it wants no answer but 421. */
  aimTerm: number | null;
  author: string | null;
  comment: string | null;
  operations: readonly WriteOperation[];
  /** Why this is not to happen, unless the key turns out to stand for a write that did: a value that is not well-formed. */
  refusal?: Problem | undefined;
  /** Monotonic. */
  deadlineMs: number;
  /** Aborts when nobody waits for the answer any more. */
  signal?: AbortSignal | undefined;
}

/** An operation as an answer needs it: without the value. */
export type OutcomeOperation = Omit<PutOperation, 'value'> | DeleteOperation;

export interface WriteOutcome {
  version: number;
  term: number;
  createdAt: string;
  /** Per operation: a put of a key that did not exist. */
  created: boolean[];
  operations: OutcomeOperation[];
}

/** Text that Postgres cannot hold would fail a whole batch: it is refused before the queue. */
export function faultOf(request: WriteRequest): Problem | undefined {
  const { author, comment, idempotencyKey } = request;
  for (const [field, text] of Object.entries({ author, comment, idempotencyKey })) {
    if (text !== null && !isStorableText(text)) {
      return new Problem('invalid-request', `${field} must be well-formed Unicode without U+0000`);
    }
  }
  const keys = new Set<string>();
  for (const { namespace, key } of request.operations) {
    if (!isStorableText(namespace) || !isStorableText(key)) {
      return new Problem('invalid-key', 'a key must be well-formed Unicode without U+0000', { namespace });
    }
    keys.add(`${namespace}\n${key}`);
  }
  if (keys.size < request.operations.length) {
    return new Problem('duplicate-key', 'a key occurs more than once in this change set');
  }
  return undefined;
}

/** What a write takes of a batch's bytes. */
export function sizeOf(request: WriteRequest): number {
  let bytes = 256;
  for (const operation of request.operations) {
    bytes += 128 + operation.namespace.length + operation.key.length;
    if (operation.op === 'put') bytes += operation.value.length;
  }
  return bytes;
}
