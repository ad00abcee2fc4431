import type { FastifyInstance } from 'fastify';
import { Problem, parseQuery, QUERIES } from '#libs/contracts';
import type { EventFeed } from './event-feed.js';

/** `GET /v1/events?from=`: the facts of the bus, resumable by `from` or `Last-Event-ID`. */
export function registerEventRoutes(fastify: FastifyInstance, feed: EventFeed): void {
  fastify.get('/v1/events', { exposeHeadRoute: false }, async (request, reply) => {
    const { from } = parseQuery(QUERIES.events, request.url);
    // A browser that connects again sends both: the header tells how far it got.
    const resumed = lastEventId(request.headers['last-event-id']) ?? from;
    feed.admit();
    reply.hijack();
    const response = reply.raw;
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) response.setHeader(name, value);
    }
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    request.raw.socket.setTimeout(0);
    feed.serve(response, resumed);
  });
}

function lastEventId(header: string | string[] | undefined): number | undefined {
  if (header === undefined || header === '') return undefined;
  if (typeof header !== 'string' || !/^\d{1,15}$/.test(header)) {
    throw new Problem('invalid-request', 'Last-Event-ID is not the id of an event');
  }
  return Number(header);
}
