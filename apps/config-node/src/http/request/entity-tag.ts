import { Problem } from '#libs/contracts';
import type { Precondition } from '../../domain/commit/write.js';

/** `*`, or the versions that the tags name; a tag that is no version of ours names nothing. */
export type TagList = '*' | readonly Tag[];

interface Tag {
  /** As it was given. */
  text: string;
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
    const version = VERSION.test(opaque) ? Number(opaque) : undefined;
    tags.push({ text: `${weak ?? ''}"${opaque}"`, version, weak: weak !== undefined });
    if (TAG.lastIndex >= header.length) return tags;
  }
  throw new Problem('invalid-request', `${name} is neither '*' nor a list of entity tags like "12"`);
}

/** Whether `If-None-Match` names the version, weakly compared: the client has it already. */
export function namesVersion(tags: TagList, version: number): boolean {
  return tags === '*' || tags.some((tag) => tag.version === version);
}

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
): Precondition | undefined {
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
  const [first] = versions;
  if (first === undefined) return { type: 'unmeetable', why: noVersion(tags) };
  const current = versions.length > 1 ? currentVersion() : undefined;
  return { type: 'version', version: versions.find((candidate) => candidate === current) ?? first };
}

/** Why no version can match, and what to send instead. */
function noVersion(tags: readonly Tag[]): string {
  const weak = tags.find(({ version }) => version !== undefined);
  if (weak?.version !== undefined) {
    return `a weak tag like ${weak.text} never matches If-Match: send ${entityTag(weak.version)} (a proxy that compresses weakens tags)`;
  }
  const named = tags.map(({ text }) => text).join(', ');
  return `If-Match ${named.slice(0, 100)} names no version: the tag of a key is its version, like "12"`;
}
