/**
 * A Host header that clients may send, as an operator names it: `config.example.com` or `192.0.2.7` or `[2001:db8::1]`
 * under any port, `config.example.com:8190` under that port alone, `*.example.org` for every name below example.org.
 */
export interface HostPattern {
  /** In lower case; without the asterisk when `isWildcard`, so that it begins with a dot: `.example.org`. */
  name: string;
  isWildcard: boolean;
  /** Undefined = any. */
  port: string | undefined;
}

const PATTERN =
  /^(\*\.)?((?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/;
const HOST = /^(.*?)(?::(\d{1,5}))?$/;
const DEFAULT_PORTS = new Set(['80', '443']);

/** The pattern, or what is wrong with the text and the right form. */
export function parseHostPattern(text: string): { pattern: HostPattern } | { fault: string } {
  const given = text.trim().toLowerCase().replace(/\.$/, '');
  if (given.includes('/'))
    return { fault: `'${text}' is a URL or a path: write the host alone, ${formFor(given)}` };
  if (/^[0-9a-f]*:[0-9a-f:]*:[0-9a-f:.]*$/.test(given)) {
    return { fault: `'${text}' is an IPv6 address: write it in brackets, [${given}]` };
  }
  const [, wildcard, name = '', port] = PATTERN.exec(given) ?? [];
  const portIsPossible = port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
  if (name === '' || !portIsPossible || (wildcard !== undefined && name.startsWith('['))) {
    return {
      fault: `'${text}' is no host: write config.example.com, config.example.com:8190 or *.example.com`,
    };
  }
  const isWildcard = wildcard !== undefined;
  return { pattern: { name: isWildcard ? `.${name}` : name, isWildcard, port } };
}

export function matchesHost(patterns: readonly HostPattern[], hostHeader: string): boolean {
  const [, given = '', port] = HOST.exec(hostHeader.toLowerCase()) ?? [];
  const name = given.replace(/\.$/, '');
  return patterns.some((pattern) => {
    const isName = pattern.isWildcard
      ? name.length > pattern.name.length && name.endsWith(pattern.name)
      : name === pattern.name;
    // A client leaves the default port of its scheme out.
    const isPort =
      pattern.port === undefined ||
      pattern.port === port ||
      (port === undefined && DEFAULT_PORTS.has(pattern.port));
    return isName && isPort;
  });
}

function formFor(text: string): string {
  const host = /^(?:[a-z][a-z0-9+.-]*:)?\/*([^/?#@]+)/.exec(text)?.[1] ?? 'config.example.com';
  return host;
}
