import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';
import { Problem } from '#libs/contracts';
import { Slices } from '#libs/kernel';
import { type JsonBounds, JsonScan, type JsonSpan } from './json-scan.js';

/** Bodies up to this size are parsed as a whole, in a millisecond or two. */
const WHOLE_BYTES = 256 * 1024;
/** About a millisecond of scanning. */
const STEP_BYTES = 512 * 1024;

/**
 * Reads a JSON body by its schema: 400 when it is not JSON, 422 naming the field when it is not what is expected.
 * A large body is read in slices, between which the event loop gets its turns.
 */
export async function jsonBody<S extends z.ZodType>(
  schema: S,
  body: unknown,
  bounds: JsonBounds,
): Promise<z.infer<S>> {
  if (!Buffer.isBuffer(body) || body.length === 0) {
    throw new Problem('invalid-request', 'a JSON body is expected');
  }
  if (!isUtf8(body)) throw new Problem('invalid-request', 'the body is not UTF-8');
  const items = await scan(body, bounds);
  const json = body.length <= WHOLE_BYTES ? parse(body) : await parseByItem(body, items);
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  if (issue?.code === 'unrecognized_keys') {
    const unknown = issue.keys.map((key) => (field === '' ? key : `${field}.${key}`));
    throw new Problem('invalid-field', `unknown field '${unknown.join("', '").slice(0, 600)}'`, { field });
  }
  throw new Problem(
    'invalid-field',
    `${field === '' ? 'the body' : field}: ${issue?.message ?? 'not valid'}`,
    { field },
  );
}

async function scan(body: Buffer, bounds: JsonBounds): Promise<readonly JsonSpan[]> {
  const slices = new Slices();
  const scanned = new JsonScan(body, bounds);
  while (!scanned.isOver) {
    if (!scanned.scan(STEP_BYTES)) {
      throw new Problem('invalid-field', 'the body has more parts than any request');
    }
    if (slices.isOver) await slices.giveWay();
  }
  return scanned.items;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new Problem('invalid-request', 'the body is not JSON', {}, { cause });
  }
}

/**
 * Parses the items of the lists in a body's object one by one, and the rest with a number in a list of its own where
 * each item was: `{"operations": [[0], [1]]}`. Nothing that is in such a list can be anything but that number, since
 * every list at this depth is an item itself.
 */
async function parseByItem(body: Buffer, spans: readonly JsonSpan[]): Promise<unknown> {
  const slices = new Slices();
  const items: unknown[] = [];
  const rest: Buffer[] = [];
  let end = 0;
  for (const [index, span] of spans.entries()) {
    rest.push(body.subarray(end, span.start), Buffer.from(`[${index}]`));
    items.push(parse(body.subarray(span.start, span.end)));
    ({ end } = span);
    if (slices.isOver) await slices.giveWay();
  }
  rest.push(body.subarray(end));
  const outline = parse(Buffer.concat(rest));
  return withItems(outline, items);
}

function withItems(outline: unknown, items: readonly unknown[]): unknown {
  if (typeof outline !== 'object' || outline === null) return outline;
  for (const list of Object.values(outline)) {
    if (typeof list !== 'object' || list === null) continue;
    for (const [name, place] of Object.entries(list)) {
      if (Array.isArray(place)) list[name] = items[Number(place[0])];
    }
  }
  return outline;
}
