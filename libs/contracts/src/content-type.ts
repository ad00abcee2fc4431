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
