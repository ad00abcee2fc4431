import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { contentTypeHeader, HEADERS } from '#libs/contracts';
import { type PublicGuard, requestIdOf } from '#libs/service';
import type { ReplicaHost } from '../../replica/replica-host.js';

const PREFIX = '/v1/namespaces/';
const COLLECTION = '/configs/';
/** Neither encoded nor queried: those may name other keys than they look like. */
const PLAIN_KEY = /^[!-$&->@-~]+$/;
const VERSION = /^\d{1,15}$/;
const ONE_STRONG_TAG = /^"\d{1,16}"$/;

/**
 * The read that there are most of, GET or HEAD of a key that exists, answered before any framework sees it: one look
 * into memory and one write. Whatever is out of the ordinary is left to the routes, so that rules stand in one place.
 */
export class HotRead {
  private served = 0;
  private leaving = false;

  constructor(
    private readonly host: ReplicaHost,
    private readonly guard: PublicGuard,
  ) {}

  /** How many reads were answered here. */
  get count(): number {
    return this.served;
  }

  /** From now on every request goes the ordinary way, which knows how to part with connections. */
  leave(): void {
    this.leaving = true;
  }

  /** Stands before whatever answers the requests of the server now. */
  install(server: Server): void {
    const others = server.listeners('request');
    server.removeAllListeners('request');
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (this.answer(request, response)) return;
      for (const other of others) other.call(server, request, response);
    });
  }

  private answer(request: IncomingMessage, response: ServerResponse): boolean {
    const { method, headers } = request;
    if ((method !== 'GET' && method !== 'HEAD') || this.leaving) return false;
    const entry = this.entryAt(request.url ?? '');
    if (entry === undefined || !this.isPlain(request)) return false;

    const tag = `"${entry.version}"`;
    const fields = this.fields(request, tag);
    this.served += 1;
    const known = headers['if-none-match'];
    if (known !== undefined && known === tag) {
      response.writeHead(304, fields);
      response.end();
      return true;
    }
    const { contentType, value } = entry;
    fields.push('content-type', contentTypeHeader(contentType, isUtf8(value)));
    fields.push('content-length', String(value.length));
    response.writeHead(200, fields);
    if (method === 'HEAD') response.end();
    else response.end(value);
    return true;
  }

  private entryAt(url: string) {
    if (!url.startsWith(PREFIX)) return undefined;
    const slash = url.indexOf('/', PREFIX.length);
    if (slash < 0 || !url.startsWith(COLLECTION, slash)) return undefined;
    const key = url.slice(slash + COLLECTION.length);
    if (!PLAIN_KEY.test(key)) return undefined;
    return this.host.replica.get(url.slice(PREFIX.length, slash), key);
  }

  /** Nothing in the headers calls for more than looking the key up. */
  private isPlain(request: IncomingMessage): boolean {
    const { headers } = request;
    if (headers.origin !== undefined || headers['if-match'] !== undefined) return false;
    const known = headers['if-none-match'];
    if (known !== undefined && !ONE_STRONG_TAG.test(known)) return false;
    const seen = headers[HEADERS.minVersion];
    if (seen !== undefined) {
      if (typeof seen !== 'string' || !VERSION.test(seen)) return false;
      if (Number(seen) > this.host.replica.version) return false;
    }
    return this.guard.fault(request) === undefined;
  }

  private fields({ headers }: IncomingMessage, tag: string): string[] {
    const { host } = this;
    const fields = [
      'etag',
      tag,
      'cache-control',
      'no-cache',
      HEADERS.node,
      host.nodeId,
      HEADERS.version,
      String(host.replica.version),
      HEADERS.term,
      String(host.term),
    ];
    if (host.isStale()) fields.push(HEADERS.stale, 'true');
    if (headers[HEADERS.requestId] !== undefined || headers.traceparent !== undefined) {
      fields.push(HEADERS.requestId, requestIdOf(headers));
    }
    return fields;
  }
}
