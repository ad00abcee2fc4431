import { Problem } from '#libs/contracts';

/** Where a listing stands: all its pages are of one version. */
export interface ListCursor {
  namespace: string;
  prefix: string;
  version: number;
  /** Last key of the page before. */
  after: string;
}

export function encodeCursor({ namespace, prefix, version, after }: ListCursor): string {
  return Buffer.from(JSON.stringify([namespace, prefix, version, after])).toString('base64url');
}

/** Throws 400 for anything that is not a cursor of this listing. `prefix` undefined = as the first page had it. */
export function decodeCursor(text: string, namespace: string, prefix: string | undefined): ListCursor {
  const cursor = read(text);
  if (cursor === undefined) throw new Problem('invalid-request', 'this is not a cursor of a listing');
  if (cursor.namespace !== namespace || (prefix !== undefined && cursor.prefix !== prefix)) {
    throw new Problem('invalid-request', 'the cursor belongs to another listing');
  }
  return cursor;
}

function read(text: string): ListCursor | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  const [namespace, prefix, version, after] = parsed;
  if (typeof namespace !== 'string' || typeof prefix !== 'string' || typeof after !== 'string')
    return undefined;
  if (!Number.isSafeInteger(version) || version < 0) return undefined;
  return { namespace, prefix, version, after };
}
