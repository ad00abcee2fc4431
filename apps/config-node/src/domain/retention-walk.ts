/** A walk through the log, key by key: where it goes on, and in which portions it removes. Pure. */
export interface SliceBounds {
  /** Keys that a slice of the log has at most, and operations of each. */
  keys: number;
  operationsPerKey: number;
}

/**
 * After which key the next slice begins; a key that may have more to remove is looked at again. Undefined: at the end.
 * @param keys of the slice that began after `after`, each with how many of its operations go
 */
export function nextAfter(
  keys: readonly { key: string; removable: number }[],
  after: string,
  bounds: SliceBounds,
): string | undefined {
  const full = keys.findIndex(({ removable }) => removable === bounds.operationsPerKey);
  if (full >= 0) return keys[full - 1]?.key ?? after;
  return keys.length < bounds.keys ? undefined : keys.at(-1)?.key;
}

/** In order, bounded by number and by bytes, at least one in each. */
export function* batchesOf<Operation extends { bytes: number }>(
  operations: readonly Operation[],
  most: { operations: number; bytes: number },
): Generator<Operation[]> {
  let batch: Operation[] = [];
  let bytes = 0;
  for (const operation of operations) {
    const isFull = batch.length >= most.operations || bytes + operation.bytes > most.bytes;
    if (batch.length > 0 && isFull) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(operation);
    bytes += operation.bytes;
  }
  if (batch.length > 0) yield batch;
}
