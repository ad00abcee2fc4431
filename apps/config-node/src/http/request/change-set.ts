import {
  ChangeSetRequest,
  CONTENT_TYPES,
  keyFault,
  LIMITS,
  namespaceFault,
  Problem,
  parseContentType,
} from '#libs/contracts';
import { Slices } from '#libs/kernel';
import { checksumOf } from '#libs/replica';
import type { Precondition, WriteOperation } from '../../domain/commit/write.js';
import { demandWritable } from './address.js';
import { inUtf8 } from './charset.js';
import { jsonBody } from './json-body.js';
import { noteFault } from './text-header.js';

export interface ChangeSet {
  comment: string | null;
  operations: WriteOperation[];
}

/** 1,000 operations of 7 fields, and room for what the schema then refuses by name. */
const BOUNDS = { depth: 8, tokens: 40_000 };
const BASE64 = /^[A-Za-z0-9+/]*(={0,2})$/;

type RequestedOperation = ChangeSetRequest['operations'][number];

/** Reads the body of `POST /v1/changes`. Problems name the operation by its place. */
export async function parseChangeSet(body: unknown, operator: boolean): Promise<ChangeSet> {
  const { comment, operations } = await jsonBody(ChangeSetRequest, body, BOUNDS);
  const fault = comment === undefined ? undefined : noteFault(comment);
  if (fault !== undefined) throw new Problem('invalid-field', `comment ${fault}`, { field: 'comment' });
  const slices = new Slices();
  const parsed: WriteOperation[] = [];
  for (const [index, asked] of operations.entries()) {
    parsed.push(parseOperation(asked, index, operator));
    if (slices.isOver) await slices.giveWay(); // values of 4 MiB are decoded and hashed
  }
  demandDistinct(parsed);
  const bytes = parsed.reduce((sum, one) => sum + (one.op === 'put' ? one.value.length : 0), 0);
  if (bytes > LIMITS.changeSetBytes) {
    throw new Problem(
      'value-too-large',
      `a change set holds at most ${LIMITS.changeSetBytes} bytes of values`,
    );
  }
  return { comment: comment ?? null, operations: parsed };
}

function parseOperation(asked: RequestedOperation, operation: number, operator: boolean): WriteOperation {
  const { namespace, key } = asked;
  const where = { operation, namespace: namespace.slice(0, 100), key: key.slice(0, 600) };
  const fault = namespaceFault(namespace) ?? keyFault(key);
  if (fault !== undefined) throw new Problem('invalid-key', fault, where);
  demandWritable({ namespace, key }, operator);
  const condition = conditionOf(asked.ifVersion);
  if (asked.op === 'put') return { op: 'put', namespace, key, ...content(asked, where), condition };
  if (asked.value !== undefined || asked.encoding !== undefined || asked.contentType !== undefined) {
    throw new Problem('invalid-field', 'a delete has no value, encoding or contentType', where);
  }
  if (asked.ifVersion === 0) {
    throw new Problem('invalid-field', 'a delete of a key that must not exist', where);
  }
  return { op: 'delete', namespace, key, condition };
}

/** `ifVersion: 0` = the key must not exist. */
function conditionOf(ifVersion: number | undefined): Precondition | undefined {
  if (ifVersion === undefined) return undefined;
  return ifVersion === 0 ? { type: 'absent' } : { type: 'version', version: ifVersion };
}

function content(asked: RequestedOperation, where: Record<string, unknown>) {
  const contentType = parseContentType(asked.contentType);
  if (contentType === undefined) throw unsupportedType(asked.contentType, where);
  if (asked.value === undefined) throw new Problem('invalid-field', 'a put needs a value', where);
  const value = storedBytes(asked.value, asked, contentType, where);
  if (value.length > LIMITS.valueBytes) {
    throw new Problem('value-too-large', `a value has at most ${LIMITS.valueBytes} bytes`, where);
  }
  return { value, contentType, checksum: checksumOf(value) };
}

/** A value that is text has no charset any more, whatever its type says; one in base64 does. */
function storedBytes(
  value: string,
  { encoding, contentType: header }: RequestedOperation,
  contentType: string,
  where: Record<string, unknown>,
): Buffer {
  const bytes = bytesOf(value, encoding, where);
  if (encoding === undefined) return bytes;
  try {
    return inUtf8(bytes, contentType, header);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(error.code, error.detail, { ...where, ...error.members }, { cause: error });
  }
}

function bytesOf(value: string, encoding: 'base64' | undefined, where: Record<string, unknown>): Buffer {
  if (encoding === 'base64') {
    if (!isBase64(value)) throw new Problem('invalid-field', 'the value is not base64', where);
    return Buffer.from(value, 'base64');
  }
  if (!value.isWellFormed()) {
    throw new Problem('invalid-value', 'a lone surrogate is not text: use base64 for bytes', where);
  }
  return Buffer.from(value, 'utf8');
}

function isBase64(text: string): boolean {
  const padding = BASE64.exec(text)?.[1];
  if (padding === undefined) return false;
  return padding === '' ? text.length % 4 !== 1 : text.length % 4 === 0;
}

function demandDistinct(operations: readonly WriteOperation[]): void {
  const seen = new Set<string>();
  for (const [operation, { namespace, key }] of operations.entries()) {
    const id = `${namespace}\n${key}`;
    if (seen.has(id)) {
      throw new Problem('duplicate-key', `the key '${key}' of '${namespace}' occurs twice`, {
        operation,
        namespace,
        key,
      });
    }
    seen.add(id);
  }
}

/** 415 with the list of what is supported. */
export function unsupportedType(given: string | undefined, where: Record<string, unknown> = {}): Problem {
  return new Problem(
    'unsupported-content-type',
    `'${(given ?? '').slice(0, 100)}' is not supported; use one of ${CONTENT_TYPES.join(', ')}`,
    { ...where, supported: [...CONTENT_TYPES] },
  );
}
