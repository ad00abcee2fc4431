import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { DynamicModule, INestMicroservice, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { CustomTransportStrategy } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import { HEADERS, LIMITS, PROBLEM_CONTENT_TYPE, Problem } from '#libs/contracts';
import { crashOnDefect, deferred, systemClock } from '#libs/kernel';
import { type Logger, type Metrics, Readiness } from '#libs/observability';
import { installHttp, originForm, requestIdOf } from './http.js';
import { NestLogger } from './nest-logger.js';
import { ProblemFilter, sendProblem, toProblem } from './problem-filter.js';
import type { PublicGuard } from './public-guard.js';
import { RefusalLog } from './refusal-log.js';
import { RestartEndpoint } from './restart-endpoint.js';
import { RouteTable } from './route-table.js';
import { announceReady, crashOnUncaught, stopOnSignals } from './shutdown.js';

export interface ServiceOptions {
  module: Type | DynamicModule;
  logger: Logger;
  metrics: Metrics;
  guard: PublicGuard;
  readiness?: Readiness;
  /** Body of GET /ping. */
  ping: () => unknown;
  /** Options of Fastify beyond the common ones, e.g. a server factory that answers the hot path itself. */
  fastify?: FastifyServerOptions;
  /** Raw routes and parsers; called before Nest adds its own. */
  configure?: (fastify: FastifyInstance, app: NestFastifyApplication) => void | Promise<void>;
  /** Transports whose handlers are Nest controllers, e.g. a BusStrategy. Started without being waited for. */
  strategies?: CustomTransportStrategy[];
  /** How to begin to listen, when not on a port: the gateway may be given a listening handle. */
  listen: { port: number; host: string } | ((app: NestFastifyApplication) => Promise<void>);
  /** Called when the server listens; the process is announced as ready when it resolves. */
  started?: (app: NestFastifyApplication, port: number) => Promise<void> | void;
  /** Called first when the process is told to stop, while it still serves. */
  stopping?: () => Promise<void>;
  /** How long requests under way may take to finish once the process stops; 1 s by default. */
  drainMs?: number;
  /** Called last, after the HTTP server has closed. */
  stopped?: () => Promise<void>;
}

const DRAIN_MS = 1_000;
/** A request that has not come whole after so long is answered with 408. */
export const REQUEST_TIMEOUT_MS = 30_000;

/**
 * Options of every HTTP server: request heads have the size that the limits allow; the guard refuses a request without a Host with a problem, where Node would answer
 * with an empty 400, and requests that are late are looked for every second, not every half minute. Were the time for the headers the longer
 * of the two, as it is by default, Node would exchange them.
 */
export const HTTP_SERVER = {
  requireHostHeader: false,
  maxHeaderSize: LIMITS.requestHeadBytes,
  connectionsCheckingInterval: 1_000,
  requestTimeout: REQUEST_TIMEOUT_MS,
  headersTimeout: REQUEST_TIMEOUT_MS,
} as const;

export interface RunningService {
  app: NestFastifyApplication;
  port: number;
  stop(): Promise<void>;
}

/** Starts the process of a service and ties it to signals and to its parent. */
export async function runService(options: ServiceOptions): Promise<RunningService> {
  crashOnUncaught(options.logger);
  const stop = deferred<(why: string) => void>();
  const service = await startService(options, {
    restart: new RestartEndpoint(systemClock, (why) => stop.promise.then((begin) => begin(why))),
  });
  stop.resolve(stopOnSignals(service.stop, options.logger));
  announceReady();
  return service;
}

/** Starts the servers of a service; used on its own by tests, which have their own signals, and nobody to start them again. */
export async function startService(
  options: ServiceOptions,
  process: { restart?: RestartEndpoint } = {},
): Promise<RunningService> {
  const adapter = new FastifyAdapter({
    logger: false,
    routerOptions: { maxParamLength: LIMITS.keyBytes * 3 + 64 },
    bodyLimit: LIMITS.changeSetBodyBytes,
    keepAliveTimeout: 72_000,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: HTTP_SERVER,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    genReqId: (request) => requestIdOf(request.headers),
    requestIdHeader: HEADERS.requestId,
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      const problem = toProblem(error);
      if (problem === undefined) crashOnDefect(error);
      sendProblem(reply, problem ?? new Problem('internal', 'unexpected error'), request.url);
    },
    clientErrorHandler: refuseUnreadable,
    rewriteUrl: originForm,
    ...options.fastify,
  } as ConstructorParameters<typeof FastifyAdapter>[0]);
  const routes = new RouteTable();
  const app = await NestFactory.create<NestFastifyApplication>(options.module, adapter, {
    logger: new NestLogger(options.logger),
    bodyParser: false,
    abortOnError: false,
  });
  const problems = new ProblemFilter(options.logger, routes);
  app.useGlobalFilters(problems);
  const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
  // Nest answers for the errors of its own scope; raw routes live in scopes below it.
  fastify.addHook('onRegister', (scope) => {
    scope.setErrorHandler((error, request, reply) => problems.answer(error, request, reply));
  });
  const readiness = options.readiness ?? new Readiness();
  installHttp(fastify, {
    guard: options.guard,
    refusals: new RefusalLog(options.logger, systemClock),
    metrics: options.metrics,
    readiness,
    routes,
    ping: options.ping,
    restart: process.restart,
  });
  fastify.server.on('checkExpectation', refuseExpectation);
  await options.configure?.(fastify, app);

  const transports: INestMicroservice[] = [];
  for (const strategy of options.strategies ?? []) transports.push(app.connectMicroservice({ strategy }));
  await app.init();
  await fastify.ready();
  if (typeof options.listen === 'function') await options.listen(app);
  else await app.listen(options.listen.port, options.listen.host);
  const port = portOf(app);
  await Promise.all(transports.map((transport) => transport.listen()));
  await options.started?.(app, port);

  return {
    app,
    port,
    stop: async () => {
      await options.stopping?.();
      await closeHttp(app, options.drainMs ?? DRAIN_MS);
      await options.stopped?.();
    },
  };
}

/** Lets requests under way finish; whatever is still open then (streams of other processes) is cut. */
async function closeHttp(app: NestFastifyApplication, drainMs: number): Promise<void> {
  const server: Server = app.getHttpServer();
  const cut = setTimeout(() => server.closeAllConnections(), drainMs);
  try {
    await app.close();
  } finally {
    clearTimeout(cut);
  }
}

function portOf(app: NestFastifyApplication): number {
  const address: AddressInfo | string | null = app.getHttpServer().address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Node answers any `Expect` but 100-continue by itself, with a bare 417. */
function refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
  const problem = new Problem('invalid-request', `the expectation '${request.headers.expect}' cannot be met`);
  const headers = { 'content-type': PROBLEM_CONTENT_TYPE, connection: 'close' };
  response.writeHead(problem.status, headers).end(JSON.stringify(problem.toBody(request.url)));
}

/** Answers what is not HTTP, did not come in time, or has headers beyond all measure, and closes the connection. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = problemOfUnreadable(error);
  const body = JSON.stringify(problem.toBody());
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nContent-Type: ${PROBLEM_CONTENT_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const ENCODE = 'what is not ASCII has to be percent-encoded (curl: -G --data-urlencode)';

function problemOfUnreadable({ code, message }: NodeJS.ErrnoException): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('headers-too-large', message);
    case 'HPE_INVALID_URL':
      return new Problem('invalid-request', `${message}: ${ENCODE}`);
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request-timeout', 'the request did not come whole in time');
    default:
      return new Problem('invalid-request', message);
  }
}
