/** The types a value may have, as they are stored and returned. */
export const CONTENT_TYPES = [
  'text/plain',
  'application/json',
  'application/yaml',
  'application/toml',
  'text/x-java-properties',
  'application/octet-stream',
] as const;

export type ContentType = (typeof CONTENT_TYPES)[number];

const ALIASES: Readonly<Record<string, ContentType>> = {
  'text/yaml': 'application/yaml',
  'application/x-yaml': 'application/yaml',
  'application/x-www-form-urlencoded': 'text/plain', // what curl --data sends when nothing is said
};

/**
 * The stored type for a Content-Type header; absent means text. Parameters such as charset are dropped.
 * undefined = not supported (415).
 */
export function parseContentType(header: string | undefined): ContentType | undefined {
  const name = (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (name === '') return 'text/plain';
  const known = CONTENT_TYPES.find((type) => type === name);
  return known ?? (Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined);
}

/**
 * The charset that a Content-Type header names, in lower case; undefined = none. JSON, YAML and TOML have no such
 * parameter by their definitions, but clients send it all the same.
 */
export function parseCharset(header: string | undefined): string | undefined {
  const match = /;\s*charset\s*=\s*(?:"([^"]*)"|([^\s;"]+))/i.exec(header ?? '');
  return match === null ? undefined : (match[1] ?? match[2] ?? '').trim().toLowerCase();
}

/**
 * The Content-Type header of a value. Clients take text without a charset for Latin-1 (RFC 2616) or guess; the other
 * types are UTF-8 by their definitions, which know no such parameter.
 * @param isUtf8 whether the bytes are: text/plain may be any bytes
 */
export function contentTypeHeader(type: string, isUtf8: boolean): string {
  return type.startsWith('text/') && isUtf8 ? `${type}; charset=utf-8` : type;
}
