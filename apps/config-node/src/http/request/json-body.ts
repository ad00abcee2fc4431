import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';
import { Problem } from '#libs/contracts';

/**
 * More structure than any request has. A body is scanned for it before it is parsed, because a few megabytes of
 * brackets keep JSON.parse busy for longer than an event loop may stand still.
 */
export interface JsonBounds {
  depth: number;
  /** Brackets, braces, commas and colons outside of strings. */
  tokens: number;
}

/** Reads a JSON body by its schema: 400 when it is not JSON, 422 naming the field when it is not what is expected. */
export function jsonBody<S extends z.ZodType>(schema: S, body: unknown, bounds: JsonBounds): z.infer<S> {
  if (!Buffer.isBuffer(body) || body.length === 0) {
    throw new Problem('invalid-request', 'a JSON body is expected');
  }
  if (!isUtf8(body)) throw new Problem('invalid-request', 'the body is not UTF-8');
  if (!isWithin(body, bounds)) throw new Problem('invalid-field', 'the body has more parts than any request');
  const parsed = schema.safeParse(parse(body));
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

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new Problem('invalid-request', 'the body is not JSON', {}, { cause });
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENS = new Set([0x5b, 0x7b]);
const CLOSES = new Set([0x5d, 0x7d]);
const SEPARATES = new Set([0x2c, 0x3a]);

export function isWithin(body: Buffer, bounds: JsonBounds): boolean {
  let depth = 0;
  let tokens = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] ?? 0;
    if (byte === QUOTE) at = endOfString(body, at);
    else if (OPENS.has(byte)) {
      depth += 1;
      tokens += 1;
    } else if (CLOSES.has(byte)) depth -= 1;
    else if (SEPARATES.has(byte)) tokens += 1;
    if (depth > bounds.depth || tokens > bounds.tokens) return false;
  }
  return true;
}

/** Of the closing quote: the next one before which stands an even number of backslashes. */
function endOfString(body: Buffer, opening: number): number {
  for (let at = body.indexOf(QUOTE, opening + 1); at >= 0; at = body.indexOf(QUOTE, at + 1)) {
    let before = at - 1;
    while (body[before] === BACKSLASH) before -= 1;
    if ((at - 1 - before) % 2 === 0) return at;
  }
  return body.length;
}
