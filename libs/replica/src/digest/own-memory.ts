import { type Change, CONTENT_TYPES, type Operation } from '#libs/contracts';
import type { Entry } from '../entry.js';

/**
 * A value that is a slice of something larger (a pooled buffer, a network message) would keep all of it alive, so
 * such a value is copied.
 */
export function ownMemory(value: Buffer): Buffer {
  if (value.buffer.byteLength === value.length) return value;
  const copy = Buffer.allocUnsafeSlow(value.length);
  value.copy(copy);
  return copy;
}

export function changeWithOwnMemory(change: Change): Change {
  const operations = change.operations.map((operation): Operation => {
    if (operation.op === 'delete') return operation;
    const { op, namespace, key, value, contentType, checksum } = operation;
    const type = SHARED_TYPES.get(contentType) ?? contentType;
    return { op, namespace, key, value: ownMemory(value), contentType: type, checksum };
  });
  return { ...change, operations };
}

/** One string for each type, not one for each entry. */
const SHARED_TYPES: ReadonlyMap<string, string> = new Map(CONTENT_TYPES.map((type) => [type, type]));

export function entryWithOwnMemory(entry: Entry): Entry {
  const value = ownMemory(entry.value);
  return value === entry.value ? entry : { ...entry, value };
}
