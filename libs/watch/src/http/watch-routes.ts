import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Admission } from '#libs/service';
import type { WatchHub } from '../watch-hub.js';
import { answerPieces } from './long-polls.js';
import { demandAcceptable, namespaceWatch, severalWatches, type WatchRequest } from './watch-request.js';
import { ResponseSink } from './watch-sink.js';

/** Large answers of long polls are written a few at a time: a hundred of 4 MiB each would keep the event loop busy with copying. */
const LARGE_BYTES = 256 * 1024;
const LARGE_ANSWERS = {
  atOnce: 2,
  waiting: 32,
  waitMs: 5_000,
  refusal: 'too many long polls have large answers',
};
/** A client that reads slowly has had its turn then. */
const TURN_MS = 500;

export interface WatchRoutesOptions {
  hub: WatchHub;
  /** Headers that every read carries: which node answers, and where it stands. */
  readHeaders: () => Record<string, string>;
}

/** `GET /v1/namespaces/{ns}/watch` and `GET /v1/watch`: server-sent events, or a long poll with `wait`. */
export function registerWatchRoutes(fastify: FastifyInstance, options: WatchRoutesOptions): void {
  const largeAnswers = new Admission(LARGE_ANSWERS);
  const serve = async (watch: WatchRequest, request: FastifyRequest, reply: FastifyReply) => {
    demandAcceptable(watch, request.headers.accept);
    // A long poll has its own time to find out whether it can begin there.
    const from = watch.waitMs === undefined ? watch.from : undefined;
    await options.hub.admit({ filter: watch.filter, from });
    return watch.waitMs === undefined
      ? stream(options, watch, request, reply)
      : poll({ ...options, largeAnswers }, watch, watch.waitMs, request, reply);
  };
  // HEAD is not exposed: the answer to a watch has no end, so there is nothing to say about it beforehand.
  const route = { exposeHeadRoute: false };
  fastify.get(
    '/v1/namespaces/:ns/watch',
    route,
    async (request: FastifyRequest<{ Params: { ns: string } }>, reply) =>
      serve(namespaceWatch(request.params.ns, request.url, request.headers), request, reply),
  );
  fastify.get('/v1/watch', route, async (request, reply) =>
    serve(severalWatches(request.url, request.headers), request, reply),
  );
}

async function poll(
  { hub, readHeaders, largeAnswers }: WatchRoutesOptions & { largeAnswers: Admission },
  watch: WatchRequest,
  waitMs: number,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const gone = new AbortController();
  const onClose = () => gone.abort();
  request.raw.socket.once('close', onClose);
  try {
    const answer = await hub.poll({ filter: watch.filter, from: watch.from }, waitMs, gone.signal);
    const pieces = answerPieces(answer);
    const [only] = pieces;
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    if (bytes > LARGE_BYTES) await turnOf(largeAnswers, reply.raw);
    return reply
      .headers({
        ...readHeaders(),
        'cache-control': 'no-store',
        'content-type': 'application/json; charset=utf-8',
        'content-length': bytes,
      })
      .send(pieces.length === 1 ? only : Readable.from(pieces));
  } finally {
    request.raw.socket.removeListener('close', onClose);
  }
}

function stream(
  { hub, readHeaders }: WatchRoutesOptions,
  watch: WatchRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  reply.hijack();
  const response = reply.raw;
  beginStream(response, { ...plainHeaders(reply), ...readHeaders() });
  const sink = new ResponseSink(response);
  const handle = hub.open(watch, sink);
  response.on('drain', () => handle.drained());
  response.on('close', () => handle.left());
  response.on('error', () => handle.left());
  // The client may have gone while its history was being looked for: nobody tells us of that any more.
  if (response.destroyed) handle.left();
  request.raw.socket.setTimeout(0);
  return reply;
}

/**
 * The body ends with the connection: without chunked encoding each event is one write of one shared buffer, and a
 * stream that is cut is resumed from the last event id anyway.
 */
function beginStream(response: ServerResponse, headers: Record<string, string>): void {
  response.removeHeader('transfer-encoding');
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    connection: 'close',
  });
  response.flushHeaders();
}

/** Headers that hooks have set on the reply (request id, CORS), which a hijacked reply does not send by itself. */
function plainHeaders(reply: FastifyReply): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : String(value);
  }
  return headers;
}

/** Resolves when it is the turn of an answer, which lasts until the client has it, or for half a second. */
function turnOf(admission: Admission, response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const turn = () => {
      resolve();
      return new Promise<void>((over) => {
        const timer = setTimeout(over, TURN_MS);
        response.once('close', () => {
          clearTimeout(timer);
          over();
        });
      });
    };
    admission.execute(turn).catch(reject);
  });
}
