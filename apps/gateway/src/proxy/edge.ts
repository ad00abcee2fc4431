import type { IncomingMessage, ServerResponse } from 'node:http';
import { type PublicGuard, requestIdOf } from '#libs/service';
import { kindOf } from '../domain/request-kind.js';
import type { ReadProxy } from './read-proxy.js';
import type { WriteProxy } from './write-proxy.js';

/**
 * Takes reads and writes of configurations before the router sees them: they need nothing of it, and each costs half
 * as much. Whatever is out of the ordinary (a page's Origin, a foreign Host) goes the long way, where it is judged.
 */
export class Edge {
  private draining = false;

  constructor(
    private readonly guard: PublicGuard,
    private readonly reads: ReadProxy,
    private readonly writes: WriteProxy,
  ) {}

  /** True when the request was taken. */
  accept(req: IncomingMessage, res: ServerResponse): boolean {
    if (this.draining) res.shouldKeepAlive = false;
    const kind = kindOf(req.method ?? '', req.url ?? '');
    if (kind === 'own') return false;
    const { headers } = req;
    if (headers.origin !== undefined || this.guard.fault(req) !== undefined) return false;
    this.proxy(req, res, requestIdOf(headers), []);
    return true;
  }

  /** For the router, when it has judged the request. `extra` goes with the answer. */
  proxy(req: IncomingMessage, res: ServerResponse, requestId: string, extra: readonly string[]): void {
    const client = { req, res, requestId, extra };
    if (req.method === 'GET' || req.method === 'HEAD') this.reads.handle(client);
    else this.writes.handle(client);
  }

  /** From now on every answer closes its connection, so that clients go elsewhere without losing a request. */
  drain(): void {
    this.draining = true;
  }

  get size(): number {
    return this.reads.size + this.writes.size;
  }
}
