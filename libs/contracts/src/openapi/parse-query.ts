import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';
import { Problem } from '../http/problem.js';

/** What follows the `?`, by name; a name that occurs twice is refused unless it is in `lists`. */
function readQuery(query: string, lists: readonly string[]): Record<string, string | string[]> {
  const found: Record<string, string | string[]> = Object.create(null);
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const name = decode(at < 0 ? pair : pair.slice(0, at));
    const value = at < 0 ? '' : decode(pair.slice(at + 1));
    const before = found[name];
    if (lists.includes(name)) found[name] = Array.isArray(before) ? [...before, value] : [value];
    else if (before === undefined) found[name] = value;
    else throw new Problem('invalid-request', `the query parameter '${name}' occurs twice`);
  }
  return found;
}

/** A target arrives byte for byte: clients that send UTF-8 without encoding it mean the same. */
function decode(text: string): string {
  try {
    const bytes = Buffer.from(text.replaceAll('+', ' '), 'latin1');
    if (!isUtf8(bytes)) throw new URIError('not UTF-8');
    return decodeURIComponent(bytes.toString('utf8'));
  } catch (cause) {
    throw new Problem('invalid-request', 'the query is not valid percent-encoded UTF-8', {}, { cause });
  }
}

/** Reads the query of a request target by the schema of its route. Throws 400 naming the parameter. */
export function parseQuery<S extends z.ZodType>(
  schema: S,
  target: string,
  lists: readonly string[] = [],
): z.infer<S> {
  const at = target.indexOf('?');
  const parsed = schema.safeParse(at < 0 ? {} : readQuery(target.slice(at + 1), lists));
  if (parsed.success) return parsed.data;
  throw new Problem('invalid-request', queryFault(parsed.error));
}

function queryFault(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue?.code === 'unrecognized_keys') return `unknown query parameter '${issue.keys.join("', '")}'`;
  return `query parameter '${issue?.path.join('.') ?? ''}': ${issue?.message ?? 'not valid'}`;
}
