import { isStorableText, LIMITS } from '#libs/contracts';
import { invariant } from '#libs/kernel';
import { DataError } from '#libs/postgres';
import type { BatchChange, Fence } from '../domain/log.types.js';

const CHARACTER_NOT_IN_REPERTOIRE = '22021';

/**
 * The commit statement's parameters. All values travel as one buffer with offsets: the driver sends a buffer in
 * binary, but an array of buffers as escaped hex, at more than twice the size.
 *
 * Of several operations on one key in a batch only the last, over puts and deletes together, reaches
 * `config.entries`: `isLast` marks it.
 */
export function commitParameters(fence: Fence, batch: readonly BatchChange[]): unknown[] {
  const last = batch.at(-1);
  invariant(last, 'a batch without a change was to be committed');
  for (const { change, requestId } of batch) refuseUnstorable(change, requestId);
  const changes = changeColumns(fence, batch);
  const operations = operationColumns(batch);
  return [
    ...fenceParameters(fence),
    last.change.version,
    Buffer.from(last.change.chain, 'hex'),
    ...Object.values(changes),
    Buffer.concat(operations.values),
    ...Object.values(operations.columns),
  ];
}

/** Encoding a lone surrogate would quietly store other text than was published; Postgres could not object. */
function refuseUnstorable(change: BatchChange['change'], requestId: string | null): void {
  const texts = [change.author, change.comment, requestId];
  for (const op of change.operations) texts.push(op.namespace, op.key);
  if (texts.every((text) => text === null || isStorableText(text))) return;
  throw new DataError('text is not well-formed Unicode without U+0000', CHARACTER_NOT_IN_REPERTOIRE);
}

export function fenceParameters(fence: Fence): unknown[] {
  return [
    fence.term,
    fence.leaderId,
    fence.incarnation,
    fence.attempt,
    fence.version,
    Buffer.from(fence.chain, 'hex'),
  ];
}

/** In the order of the statement's `unnest`. */
function changeColumns(fence: Fence, batch: readonly BatchChange[]) {
  let previous = fence.version;
  for (const { change, created } of batch) {
    invariant(
      change.term === fence.term,
      `a change of term ${change.term} is in a batch of term ${fence.term}`,
    );
    // Only a change of kind 'lost' leaves numbers out: those that the database once gave away.
    const isNext = change.version === previous + 1 || (change.kind === 'lost' && change.version > previous);
    invariant(isNext, 'the versions of a batch do not continue the log');
    invariant(
      created.length === change.operations.length,
      `${created.length} flags for ${change.operations.length} operations`,
    );
    previous = change.version;
  }
  return {
    version: batch.map(({ change }) => change.version),
    chain: batch.map(({ change }) => Buffer.from(change.chain, 'hex')),
    kind: batch.map(({ change }) => change.kind),
    lostFrom: batch.map(({ change }) => change.lost?.from ?? null),
    lostTo: batch.map(({ change }) => change.lost?.to ?? null),
    author: batch.map(({ change }) => change.author),
    comment: batch.map(({ change }) => change.comment),
    requestId: batch.map(({ requestId }) => requestId),
    requestHash: batch.map(({ requestHash }) => requestHash),
    requestKind: batch.map(({ requestKind }) => requestKind),
    bytes: batch.map(weightOf),
  };
}

function weightOf({ change }: BatchChange): number {
  let bytes = 0;
  for (const op of change.operations) {
    bytes += LIMITS.loggedOperationBytes + Buffer.byteLength(op.key);
    if (op.op === 'put') bytes += op.value.length;
  }
  return bytes;
}

function operationColumns(batch: readonly BatchChange[]) {
  const values: Buffer[] = [];
  const version: number[] = [];
  const ordinal: number[] = [];
  const namespace: string[] = [];
  const key: string[] = [];
  const isPut: boolean[] = [];
  const isLast: boolean[] = [];
  const contentType: (string | null)[] = [];
  const checksum: (Buffer | null)[] = [];
  const created: boolean[] = [];
  const valueFrom: number[] = [];
  const valueLength: number[] = [];
  const lastOfKey = new Map<string, number>();
  let offset = 0;
  for (const { change, created: createdFlags } of batch) {
    for (const [index, op] of change.operations.entries()) {
      const value = op.op === 'put' ? op.value : undefined;
      // A namespace holds no U+0000.
      const id = `${op.namespace}\0${op.key}`;
      const earlier = lastOfKey.get(id);
      if (earlier !== undefined) isLast[earlier] = false;
      lastOfKey.set(id, version.length);
      version.push(change.version);
      ordinal.push(index);
      namespace.push(op.namespace);
      key.push(op.key);
      isPut.push(op.op === 'put');
      isLast.push(true);
      contentType.push(op.op === 'put' ? op.contentType : null);
      checksum.push(op.op === 'put' ? checksumBytes(op.checksum) : null);
      created.push(createdFlags[index] ?? false);
      valueFrom.push(offset + 1);
      valueLength.push(value?.length ?? 0);
      if (value) values.push(value);
      offset += value?.length ?? 0;
    }
  }
  return {
    values,
    columns: {
      version,
      ordinal,
      namespace,
      key,
      isPut,
      isLast,
      contentType,
      checksum,
      created,
      valueFrom,
      valueLength,
    },
  };
}

const CHECKSUM = /^sha256:[0-9a-f]{64}$/;

function checksumBytes(checksum: string): Buffer {
  invariant(CHECKSUM.test(checksum), `not a checksum: ${checksum}`);
  return Buffer.from(checksum.slice('sha256:'.length), 'hex');
}
