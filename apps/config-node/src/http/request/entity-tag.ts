import { Problem } from '#libs/contracts';
import type { Condition } from '../../domain/write.js';

/** `*`, or the versions that the tags name; a tag that is no version of ours names nothing. */
export type TagList = '*' | readonly Tag[];

interface Tag {
  version: number | undefined;
  weak: boolean;
}

const TAG = /\s*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)/y;
const VERSION = /^[1-9]\d{0,15}$/;

/** The entity tag of a version. */
export function entityTag(version: number): string {
  return `"${version}"`;
}

/** Reads `If-Match` or `If-None-Match` (RFC 9110, 13.1). Throws 400 for what is neither `*` nor a list of tags. */
export function parseTags(name: string, header: string): TagList {
  if (header.trim() === '*') return '*';
  const tags: Tag[] = [];
  TAG.lastIndex = 0;
  while (TAG.lastIndex < header.length) {
    const match = TAG.exec(header);
    if (match === null) break;
    const [, weak, opaque = ''] = match;
    tags.push({ version: VERSION.test(opaque) ? Number(opaque) : undefined, weak: weak !== undefined });
    if (TAG.lastIndex >= header.length) return tags;
  }
  throw new Problem('invalid-request', `${name} is neither '*' nor a list of entity tags like "12"`);
}

/** Whether `If-None-Match` names the version, weakly compared: the client has it already. */
export function namesVersion(tags: TagList, version: number): boolean {
  return tags === '*' || tags.some((tag) => tag.version === version);
}

/** A version that no key ever has. */
const NEVER = Number.MAX_SAFE_INTEGER;

interface ConditionHeaders {
  'if-match'?: string | undefined;
  'if-none-match'?: string | undefined;
}

/**
 * What a write demands of its key. A list in `If-Match` becomes the one of its versions that the key has now: should
 * the key move on to another of them before the write's turn, the write is refused, which is always safe.
 */
export function writeCondition(
  headers: ConditionHeaders,
  currentVersion: () => number | undefined,
): Condition | undefined {
  const match = headers['if-match'];
  const noneMatch = headers['if-none-match'];
  if (match !== undefined && noneMatch !== undefined) {
    throw new Problem('invalid-request', 'If-Match and If-None-Match do not go together');
  }
  if (noneMatch !== undefined) {
    if (parseTags('If-None-Match', noneMatch) === '*') return { type: 'absent' };
    throw new Problem('invalid-request', 'a write takes only * in If-None-Match: the key must not exist');
  }
  if (match === undefined) return undefined;
  const tags = parseTags('If-Match', match);
  if (tags === '*') return { type: 'exists' };
  // Strongly compared: a weak tag never matches.
  const versions = tags.flatMap(({ version, weak }) => (weak || version === undefined ? [] : [version]));
  const current = versions.length > 1 ? currentVersion() : undefined;
  const version = versions.find((candidate) => candidate === current) ?? versions[0] ?? NEVER;
  return { type: 'version', version };
}
