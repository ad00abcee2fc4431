import type { IncomingHttpHeaders } from 'node:http';
import {
  HEADERS,
  LIMITS,
  missingBody,
  Problem,
  parseContentType,
  parseQuery,
  QUERIES,
  RollbackRequest,
} from '#libs/contracts';
import { checksumOf, type Entry } from '#libs/replica';
import type { IncomingWrite } from '../../commit/write-intake.js';
import type { KeyAddress } from '../../domain/log.types.js';
import { demandWritable, keyAddress } from '../request/address.js';
import { parseChangeSet, unsupportedType } from '../request/change-set.js';
import { inUtf8 } from '../request/charset.js';
import { writeCondition } from '../request/entity-tag.js';
import { jsonBody } from '../request/json-body.js';
import { requestHash } from '../request/request-hash.js';
import { noteFault, textHeader } from '../request/text-header.js';

/** A write as it arrives: the target with its query, the headers, the body's bytes. */
export interface Arrived {
  url: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** Whether the request is an operator's. */
  operator: boolean;
}

export type CurrentVersion = (address: KeyAddress) => number | undefined;

/** `PUT …/configs/{key}` */
export function putWrite(arrived: Arrived, currentVersion: CurrentVersion): IncomingWrite {
  const { headers, body } = arrived;
  const { address, comment } = addressed(arrived);
  const missing = missingBody(headers, body.length);
  if (missing !== undefined) throw missing;
  const contentType = parseContentType(headers['content-type']);
  if (contentType === undefined) throw unsupportedType(headers['content-type']);
  const value = inUtf8(body, contentType, headers['content-type']);
  if (value.length > LIMITS.valueBytes) {
    throw new Problem('value-too-large', `a value has at most ${LIMITS.valueBytes} bytes`);
  }
  const condition = writeCondition(headers, () => currentVersion(address));
  return {
    kind: 'put',
    ...notes(headers, comment),
    operations: [{ op: 'put', ...address, value, contentType, checksum: checksumOf(value), condition }],
    hash: hashOf('PUT', address, { headers, body: value }, contentType),
  };
}

/** `DELETE …/configs/{key}` */
export function deleteWrite(arrived: Arrived, currentVersion: CurrentVersion): IncomingWrite {
  const { address, comment } = addressed(arrived);
  if (arrived.headers['if-none-match'] !== undefined) {
    throw new Problem('invalid-request', 'a delete takes If-Match, not If-None-Match');
  }
  const condition = writeCondition(arrived.headers, () => currentVersion(address));
  return {
    kind: 'delete',
    ...notes(arrived.headers, comment),
    operations: [{ op: 'delete', ...address, condition }],
    hash: hashOf('DELETE', address, { ...arrived, body: Buffer.alloc(0) }, undefined),
  };
}

/** `POST /v1/changes` */
export async function changeSetWrite({ url, headers, body, operator }: Arrived): Promise<IncomingWrite> {
  parseQuery(QUERIES.none, url);
  const { comment, operations } = await parseChangeSet(body, operator);
  return {
    kind: 'change-set',
    ...notes(headers, comment ?? undefined),
    operations,
    hash: requestHash(['POST', 'changes'], body),
  };
}

export interface Rollback {
  address: KeyAddress;
  toVersion: number;
  /** The write, once it is known what stood at the key then, or why that cannot be known. */
  write: (old: Entry | Problem) => IncomingWrite;
}

/** `POST …/rollback/{key}` */
export async function rollbackWrite(arrived: Arrived, currentVersion: CurrentVersion): Promise<Rollback> {
  const { url, headers, body, operator } = arrived;
  const address = keyAddress(url, parseQuery(QUERIES.byKey, url).key);
  demandWritable(address, operator);
  const { toVersion, comment } = await jsonBody(RollbackRequest, body, { depth: 4, tokens: 100 });
  const fault = comment === undefined ? undefined : noteFault(comment);
  if (fault !== undefined) throw new Problem('invalid-field', `comment ${fault}`, { field: 'comment' });
  const condition = writeCondition(headers, () => currentVersion(address));
  const said = notes(headers, comment);
  const hash = hashOf('ROLLBACK', address, arrived, undefined);
  const write = (old: Entry | Problem): IncomingWrite => {
    if (old instanceof Problem) return { kind: 'rollback', ...said, operations: [], hash, refusal: old };
    const { value, contentType, checksum } = old;
    const operations = [{ op: 'put' as const, ...address, value, contentType, checksum, condition }];
    return { kind: 'rollback', ...said, operations, hash };
  };
  return { address, toVersion, write };
}

function addressed({ url, operator }: Arrived): { address: KeyAddress; comment: string | undefined } {
  const inQuery = /[?&]key=/.test(url);
  const query = inQuery
    ? parseQuery(QUERIES.writeByKey, url)
    : { ...parseQuery(QUERIES.write, url), key: undefined };
  const fault = query.comment === undefined ? undefined : noteFault(query.comment);
  if (fault !== undefined) throw new Problem('invalid-request', `comment ${fault}`);
  const address = keyAddress(url, query.key);
  demandWritable(address, operator);
  return { address, comment: query.comment };
}

/** What is said in the request itself goes before what is said in a header. */
function notes(headers: IncomingHttpHeaders, comment: string | undefined) {
  return {
    comment: comment ?? textHeader('Holdfast-Comment', headers[HEADERS.comment]),
    author: textHeader('Holdfast-Author', headers[HEADERS.author]),
  };
}

function hashOf(
  method: string,
  { namespace, key }: KeyAddress,
  { headers, body }: Pick<Arrived, 'headers' | 'body'>,
  contentType: string | undefined,
): Buffer {
  const conditions = [headers['if-match'], headers['if-none-match']];
  return requestHash([method, namespace, key, ...conditions, contentType], body);
}
