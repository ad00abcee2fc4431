import { type Change, changeToWire, LIMITS, type WireChange } from '#libs/contracts';

/** JSON writes a character as six at the most (`\u0000`). */
const WORST_ESCAPE = 6;
const OVERHEAD_BYTES = 256;

/**
 * Packs contiguous changes into messages of at most 256 KiB. A change too large for that is left out with all that
 * follow: whoever is then behind the head fetches them. There is always a message, so that the head is told.
 *
 * Sizes are bounds, not measured: encoding everything twice would cost the leader more than a few more messages.
 */
export function packChanges(
  changes: readonly Change[],
  maxBytes: number = LIMITS.broadcastBytes,
): WireChange[][] {
  const messages: WireChange[][] = [];
  let message: WireChange[] = [];
  let bytes = 0;
  for (const change of changes) {
    const atMost = worstSize(change);
    if (atMost > maxBytes && sizeOf(change, maxBytes) > maxBytes) break;
    if (message.length > 0 && bytes + atMost > maxBytes) {
      messages.push(message);
      message = [];
      bytes = 0;
    }
    message.push(changeToWire(change));
    bytes += atMost;
  }
  if (message.length > 0 || messages.length === 0) messages.push(message);
  return messages;
}

function worstSize({ author, comment, operations }: Change): number {
  let characters = (author?.length ?? 0) + (comment?.length ?? 0);
  for (const operation of operations) {
    characters += operation.namespace.length + operation.key.length;
    if (operation.op === 'put') characters += operation.value.length + operation.contentType.length;
  }
  return characters * WORST_ESCAPE + OVERHEAD_BYTES * (1 + operations.length);
}

/** Its size as JSON; not computed when the values alone are too large, since JSON is never shorter. */
function sizeOf(change: Change, maxBytes: number): number {
  let bytes = 0;
  for (const operation of change.operations) bytes += operation.op === 'put' ? operation.value.length : 0;
  return bytes > maxBytes ? bytes : Buffer.byteLength(JSON.stringify(changeToWire(change)));
}
