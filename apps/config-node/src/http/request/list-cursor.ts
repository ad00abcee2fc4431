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

/** Where the list of namespaces goes on: the last name of the page before. */
export function encodeNamespaceCursor(after: string): string {
  return Buffer.from(JSON.stringify([after])).toString('base64url');
}

/** Throws 400 for anything that is not a cursor of the list of namespaces. */
export function decodeNamespaceCursor(text: string): string {
  const parts = partsOf(text);
  const after = parts?.length === 1 ? parts[0] : undefined;
  if (typeof after === 'string') return after;
  throw new Problem('invalid-request', 'this is not a cursor of the list of namespaces');
}

function read(text: string): ListCursor | undefined {
  const [namespace, prefix, version, after] = partsOf(text) ?? [];
  if (typeof namespace !== 'string' || typeof prefix !== 'string' || typeof after !== 'string')
    return undefined;
  if (!isVersion(version)) return undefined;
  return { namespace, prefix, version, after };
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function partsOf(text: string): unknown[] | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return Array.isArray(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
