import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HEADERS, Problem } from '#libs/contracts';
import type { Metrics, Readiness } from '#libs/observability';
import { hostFault, type PublicGuard } from './public-guard.js';
import type { RefusalLog } from './refusal-log.js';
import type { RestartEndpoint } from './restart-endpoint.js';
import type { RouteTable } from './route-table.js';

/** Routes that any prober may ask under any name: they tell nothing that needs guarding. */
const PROBES = new Set(['/ping', '/health', '/metrics', '/internal/tether']);
const RESTART_BODY_BYTES = 1_024;

/** Routes that only processes of the cluster may call. */
function isInternal(route: string): boolean {
  return route.startsWith('/internal/') || route === '/sync' || route === '/restart' || route === '/digest';
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** `X-Request-Id` of the caller, else the trace id of its `traceparent`, else a new one. */
export function requestIdOf(headers: Record<string, string | string[] | undefined>): string {
  const given = headers[HEADERS.requestId];
  if (typeof given === 'string' && REQUEST_ID.test(given)) return given;
  const trace =
    typeof headers.traceparent === 'string' ? TRACEPARENT.exec(headers.traceparent)?.[1] : undefined;
  return trace ?? randomUUID();
}

export interface HttpPlumbing {
  guard: PublicGuard;
  refusals: RefusalLog;
  metrics: Metrics;
  readiness: Readiness;
  routes: RouteTable;
  /** Body of GET /ping; must answer from the event loop alone. */
  ping: () => unknown;
  /** Who ends the process on `POST /restart`; undefined = nobody would start it again. */
  restart: RestartEndpoint | undefined;
}

/** What every process serves and demands: request ids, guards, CORS, /ping, /health, /metrics, request metrics. */
export function installHttp(fastify: FastifyInstance, plumbing: HttpPlumbing): void {
  const { guard, refusals, metrics, readiness, routes } = plumbing;
  const seconds = metrics.histogram('http_request_seconds', 'Time to answer a request', [
    'method',
    'route',
    'status',
  ]);

  fastify.addHook('onRoute', (route) => {
    if (route.url !== PREFLIGHT_URL) routes.add(route.url, route.method);
  });
  fastify.addHook('onRequest', async (request, reply) => {
    reply.header(HEADERS.requestId, request.id);
    const unclear = hostFault(request.raw);
    if (unclear) throw unclear;
    const route = request.routeOptions.url;
    if (route !== undefined && !routes.isLiteral(route, request.url)) {
      throw new Problem(
        'not-found',
        `there is nothing at ${request.url}: only names and keys may be percent-encoded`,
      );
    }
    if (route !== undefined && PROBES.has(route)) return;
    const internal = route !== undefined && isInternal(route);
    const fault = internal ? guard.memberFault(request.raw) : guard.fault(request.raw);
    if (fault) {
      refusals.note(fault, request.ip);
      throw fault;
    }
    if (!internal) allowOrigin(guard, request, reply);
  });
  // Nothing is acted on before the body is known to be the one that was signed.
  fastify.addHook('preValidation', (request, _reply, done) => {
    const fault = guard.bodyFault(request.raw, request.body);
    if (fault) refusals.note(fault, request.ip);
    done(fault);
  });
  fastify.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unmatched';
    seconds.observe(
      { method: request.method, route, status: String(reply.statusCode) },
      reply.elapsedTime / 1_000,
    );
  });

  fastify.get('/ping', { logLevel: 'silent' }, async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return plumbing.ping();
  });
  fastify.get('/health', async (_request, reply) => {
    const report = readiness.report();
    return reply
      .code(report.status === 'ready' ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(report);
  });
  fastify.get('/metrics', async (_request, reply) => {
    return reply.header('content-type', metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  const { restart } = plumbing;
  if (restart) {
    fastify.register(async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
      scope.post('/restart', { bodyLimit: RESTART_BODY_BYTES }, async (_request, reply) =>
        reply.code(202).send(restart.request()),
      );
    });
  }
  if (guard.allowsOrigins) {
    fastify.options(PREFLIGHT_URL, async (request, reply) => preflight(guard, request, reply));
  }
}

const PREFLIGHT_URL = '/*';

const EXPOSED = `ETag, ${[HEADERS.node, HEADERS.version, HEADERS.term, HEADERS.stale].join(', ')}`;

function allowOrigin(guard: PublicGuard, request: FastifyRequest, reply: FastifyReply): void {
  const { origin } = request.headers;
  if (origin === undefined || !guard.isAllowedOrigin(origin)) return;
  reply.headers({
    'access-control-allow-origin': origin,
    vary: 'origin',
    'access-control-expose-headers': EXPOSED,
  });
}

function preflight(guard: PublicGuard, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { origin } = request.headers;
  if (origin === undefined || !guard.isAllowedOrigin(origin)) {
    throw new Problem('forbidden', 'this origin may not call the interface');
  }
  return reply
    .code(204)
    .headers({
      'access-control-allow-methods': 'GET, HEAD, PUT, POST, DELETE',
      'access-control-allow-headers': request.headers['access-control-request-headers'] ?? '*',
      'access-control-max-age': '600',
    })
    .send();
}

const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;

/** The target as it is meant for us: a client that takes us for a proxy sends scheme and authority too (RFC 9112, 3.2.2). */
export function originForm(request: IncomingMessage): string {
  const target = request.url ?? '/';
  if (target.startsWith('/')) return target;
  const rest = target.replace(ABSOLUTE_FORM, '');
  return rest.startsWith('/') ? rest : `/${rest}`;
}
