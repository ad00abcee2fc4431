import { HEADERS } from '#libs/contracts';

/**
 * Headers as they go on: a list of name, value, name, value in the order in which they came.
 * What belongs to one connection stays on it (RFC 9110, 7.6.1); what only the cluster may say is never taken
 * from a client; Host and Origin have been judged here and would be judged wrongly by a node.
 */
const NOT_FOR_NODES: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'host',
  'origin',
  'content-length',
  HEADERS.clusterKey,
  HEADERS.signature,
  HEADERS.aimTerm,
  HEADERS.attempt,
  HEADERS.forwarded,
  HEADERS.forward,
  HEADERS.operator,
]);

const NOT_FOR_CLIENTS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'trailer',
  'upgrade',
]);

export interface ForwardedHeaders {
  list: string[];
  /** Given by the client; a gateway-made one is added by whoever sends. */
  requestId: string | undefined;
  idempotencyKey: string | undefined;
  /** What the client offers as the cluster's secret; it goes no further. */
  clusterKey: string | undefined;
}

/** `raw` as node:http gives it: names and values in turn. */
export function forNode(raw: readonly string[]): ForwardedHeaders {
  const list: string[] = [];
  let requestId: string | undefined;
  let idempotencyKey: string | undefined;
  let clusterKey: string | undefined;
  let namedByConnection: Set<string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    const value = raw[i + 1] ?? '';
    if (name === 'connection') namedByConnection = optionsOf(value, namedByConnection);
    if (NOT_FOR_NODES.has(name)) {
      if (name === HEADERS.clusterKey) clusterKey = value;
      continue;
    }
    if (name === HEADERS.requestId) requestId = value;
    else if (name === HEADERS.idempotencyKey) idempotencyKey = value;
    list.push(name, value);
  }
  if (namedByConnection === undefined) return { list, requestId, idempotencyKey, clusterKey };
  return {
    list: without(list, namedByConnection),
    requestId: namedByConnection.has(HEADERS.requestId) ? undefined : requestId,
    idempotencyKey: namedByConnection.has(HEADERS.idempotencyKey) ? undefined : idempotencyKey,
    clusterKey,
  };
}

/** Answer headers of a node, by name in lower case, as a list for `writeHead`. */
export function forClient(headers: Readonly<Record<string, string | string[] | undefined>>): string[] {
  const list: string[] = [];
  for (const name in headers) {
    if (NOT_FOR_CLIENTS.has(name)) continue;
    const value = headers[name];
    if (typeof value === 'string') list.push(name, value);
    else if (value !== undefined) for (const one of value) list.push(name, one);
  }
  return list;
}

/** The usual `keep-alive` and `close` name no header, and cost nothing. */
function optionsOf(value: string, known: Set<string> | undefined): Set<string> | undefined {
  let options = known;
  for (const part of value.toLowerCase().split(',')) {
    const option = part.trim();
    if (option === '' || option === 'keep-alive' || option === 'close') continue;
    options ??= new Set();
    options.add(option);
  }
  return options;
}

function without(list: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = list[i] ?? '';
    if (!names.has(name)) kept.push(name, list[i + 1] ?? '');
  }
  return kept;
}
