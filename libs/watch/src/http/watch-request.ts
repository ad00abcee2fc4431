import { accepts, LIMITS, namespaceFault, Problem, parseQuery, QUERIES } from '#libs/contracts';
import { type WatchedKeys, type WatchFilter, watchFilter } from '../domain/watch-filter.js';

/** What a request for a watch asks for. `waitMs` makes it a long poll. */
export interface WatchRequest {
  filter: WatchFilter;
  from: number | undefined;
  initial: boolean;
  waitMs: number | undefined;
}

interface RequestHeaders {
  'last-event-id'?: string | string[] | undefined;
  accept?: string | undefined;
}

/** `GET /v1/namespaces/{ns}/watch` */
export function namespaceWatch(namespace: string, target: string, headers: RequestHeaders): WatchRequest {
  const query = parseQuery(QUERIES.watch, target);
  return request([watched(namespace, query.prefix)], query, headers);
}

/** `GET /v1/watch?w=<ns>:<prefix>&w=…` */
export function severalWatches(target: string, headers: RequestHeaders): WatchRequest {
  const query = parseQuery(QUERIES.watches, target, ['w']);
  return request(query.w.map(parseWatched), query, headers);
}

function parseWatched(text: string): WatchedKeys {
  const at = text.indexOf(':');
  return at < 0 ? watched(text, '') : watched(text.slice(0, at), text.slice(at + 1));
}

function watched(namespace: string, prefix: string): WatchedKeys {
  const fault = namespaceFault(namespace);
  if (fault !== undefined) throw new Problem('invalid-key', fault);
  if (!prefix.isWellFormed() || Buffer.byteLength(prefix) > LIMITS.keyBytes) {
    throw new Problem('invalid-request', `a prefix has at most ${LIMITS.keyBytes} bytes of UTF-8`);
  }
  return { namespace, prefix };
}

function request(
  parts: WatchedKeys[],
  query: { from?: number | undefined; initial?: boolean | undefined; wait?: number | undefined },
  headers: RequestHeaders,
): WatchRequest {
  const resumed = lastEventId(headers['last-event-id']);
  const waitMs = query.wait;
  if (waitMs !== undefined && query.initial) {
    throw new Problem('invalid-request', "'initial' and 'wait' do not go together: list, then poll");
  }
  return {
    filter: watchFilter(parts),
    // A browser that connects again repeats the address: where it stands now is in the header.
    from: resumed ?? query.from,
    initial: query.initial === true && resumed === undefined,
    waitMs,
  };
}

const VERSION = /^(?:0|[1-9]\d{0,15})$/;

function lastEventId(header: string | string[] | undefined): number | undefined {
  if (header === undefined || header === '') return undefined;
  const version = typeof header === 'string' && VERSION.test(header) ? Number(header) : Number.NaN;
  if (!Number.isSafeInteger(version)) throw new Problem('invalid-request', 'Last-Event-ID is not a version');
  return version;
}

/** Throws 406 unless the client takes the form that its request calls for. */
export function demandAcceptable({ waitMs }: WatchRequest, accept: string | undefined): void {
  const type = waitMs === undefined ? 'text/event-stream' : 'application/json';
  if (accepts(accept, type)) return;
  throw new Problem(
    'not-acceptable',
    waitMs === undefined
      ? "a watch is text/event-stream; application/json needs 'wait'"
      : 'a long poll is application/json',
    { available: [type] },
  );
}
