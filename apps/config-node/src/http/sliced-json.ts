import { Slices } from '#libs/kernel';

/** Text is gathered up to this size before it becomes bytes. */
const CHUNK_CHARS = 64 * 1024;

/**
 * The bytes of a large JSON text that is made piece by piece. Between the pieces the event loop gets its turns: a page
 * of 4 MiB of values takes tens of milliseconds, in which a leader could not answer for itself.
 */
export async function encodeInSlices(pieces: Iterable<string>): Promise<Buffer> {
  const slices = new Slices();
  const chunks: Buffer[] = [];
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length >= CHUNK_CHARS) {
      chunks.push(Buffer.from(text));
      text = '';
    }
    if (slices.isOver) await slices.giveWay();
  }
  chunks.push(Buffer.from(text));
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

/** An object with one list among its fields, whose items are made one by one, or themselves in pieces. */
export function* objectWithList(
  fields: Readonly<Record<string, unknown>>,
  name: string,
  items: Iterable<string | Iterable<string>>,
): Generator<string> {
  const rest = JSON.stringify(fields);
  yield `${rest.slice(0, -1)}${rest === '{}' ? '' : ','}${JSON.stringify(name)}:`;
  yield* list(items);
  yield '}';
}

/** `[`, the items with commas between them, `]`. */
function* list(items: Iterable<string | Iterable<string>>): Generator<string> {
  let before = '[';
  for (const item of items) {
    yield before;
    if (typeof item === 'string') yield item;
    else yield* item;
    before = ',';
  }
  yield before === '[' ? '[]' : ']';
}
