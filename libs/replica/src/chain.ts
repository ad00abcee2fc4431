import { hash } from 'node:crypto';
import type { Change, Operation } from '#libs/contracts';

/** The chain of the empty history. */
export const GENESIS_CHAIN = '0'.repeat(64);

const FORMAT = 1;

export type ChainedContent = Pick<
  Change,
  'version' | 'term' | 'kind' | 'lost' | 'author' | 'comment' | 'operations'
>;

/**
 * The hash over everything up to and with `change`: SHA-256 of the previous chain's 32 bytes and the change in
 * canonical JSON. A value takes part by its checksum. `createdAt` does not: it is known only after the commit.
 */
export function chainAfter(previousChain: string, change: ChainedContent): string {
  const content = JSON.stringify([
    FORMAT,
    change.version,
    change.term,
    change.kind,
    change.lost ? [change.lost.from, change.lost.to] : null,
    change.author,
    change.comment,
    change.operations.map(chainedOperation),
  ]);
  const previous = Buffer.from(previousChain, 'hex');
  return hash('sha256', Buffer.concat([previous, Buffer.from(content)]), 'hex');
}

function chainedOperation(operation: Operation): string[] {
  const { op, namespace, key } = operation;
  return op === 'put'
    ? [op, namespace, key, operation.contentType, operation.checksum]
    : [op, namespace, key];
}

/** `sha256:` and the hex digest of the bytes. */
export function checksumOf(value: Buffer): string {
  return `sha256:${hash('sha256', value, 'hex')}`;
}
