import { type Change, changeToWire, LIMITS, type WireChange } from '#libs/contracts';

/**
 * Packs contiguous changes into messages of at most 256 KiB. A change too large for that is left out with all that
 * follow: whoever is then behind the head fetches them. There is always a message, so that the head is told.
 */
export function packChanges(
  changes: readonly Change[],
  maxBytes: number = LIMITS.broadcastBytes,
): WireChange[][] {
  const messages: WireChange[][] = [];
  let message: WireChange[] = [];
  let bytes = 0;
  for (const change of changes) {
    const wire = isSurelyTooLarge(change, maxBytes) ? undefined : changeToWire(change);
    const size = wire === undefined ? Number.POSITIVE_INFINITY : Buffer.byteLength(JSON.stringify(wire));
    if (wire === undefined || size > maxBytes) break;
    if (bytes + size > maxBytes) {
      messages.push(message);
      message = [];
      bytes = 0;
    }
    message.push(wire);
    bytes += size;
  }
  if (message.length > 0 || messages.length === 0) messages.push(message);
  return messages;
}

/** JSON is never shorter than the value. */
function isSurelyTooLarge(change: Change, maxBytes: number): boolean {
  let bytes = 0;
  for (const operation of change.operations) bytes += operation.op === 'put' ? operation.value.length : 0;
  return bytes > maxBytes;
}
