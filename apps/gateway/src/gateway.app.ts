import { createServer, type Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { hostname } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { HEADERS } from '#libs/contracts';
import { sleep, systemClock } from '#libs/kernel';
import { createLogger, Metrics, Readiness } from '#libs/observability';
import { HTTP_SERVER, type ServiceOptions } from '#libs/service';
import { maskSecrets } from '#libs/settings';
import { registerWatchRoutes } from '#libs/watch';
import { registerDocsRoutes } from './docs/docs.routes.js';
import { isReady, ServingGate } from './domain/serving-gate.js';
import { registerEventRoutes } from './events/events.routes.js';
import type { GatewaySettings } from './gateway.config.js';
import { gatewayModule } from './gateway.module.js';
import { assembleGateway, type GatewayParts } from './gateway.parts.js';
import type { Edge } from './proxy/edge.js';
import { registerProxiedRoutes } from './proxy/proxied.routes.js';
import { listen } from './shared-listening.js';

/** Longer than clients and balancers keep theirs, so that it is not us who closes first. */
const KEEP_ALIVE_MS = 72_000;
/** How long clients get to notice `Connection: close` before idle connections are closed. */
const DRAIN_MS = 3_000;
const DRAIN_LIMIT_MS = 10_000;
const DRAIN_LOOK_EVERY_MS = 50;

/** Everything that one gateway process consists of, ready to be started. */
export function gatewayApp(settings: GatewaySettings): ServiceOptions {
  const instanceId = settings.instanceId ?? `gateway-${hostname()}-${process.pid}`;
  const logger = createLogger({ service: 'gateway', node: instanceId, level: settings.logLevel });
  logger.info({ settings: maskSecrets(settings) }, 'starting');
  const metrics = new Metrics('gateway', instanceId);
  const parts = assembleGateway(settings, instanceId, logger, metrics);
  let server: Server | undefined;

  return {
    module: gatewayModule(parts),
    logger,
    metrics,
    readiness: readinessOf(parts),
    guard: parts.guard,
    ping: () => ({ service: 'gateway', instanceId, version: parts.directory.headVersion }),
    fastify: {
      serverFactory: (handler) => {
        server = edgeServer(parts.edge, handler);
        return server;
      },
    },
    configure: (fastify) => configure(fastify, parts),
    listen: async (app) => {
      parts.news.start();
      parts.prober.start();
      parts.balancerTicker.start();
      parts.balancingKey.start(parts.bus);
      parts.follower.start(() => parts.hub.counts.watchers + parts.hub.counts.longPolls > 0);
      const own = { port: settings.port, host: settings.bind };
      await listen(app.getHttpServer(), own, settings.sharedListening === '1');
    },
    started: async () => {
      await Promise.all([parts.prober.askAll(), parts.bus.subscribed()]);
    },
    stopping: async () => {
      if (server !== undefined) await drain(server, parts);
    },
    stopped: async () => {
      parts.hub.stop();
      parts.reads.stop();
      parts.writes.stop();
      await Promise.all([
        parts.news.stop(),
        parts.prober.stop(),
        parts.balancerTicker.stop(),
        parts.balancingKey.stop(),
        parts.follower.stop(),
      ]);
      await parts.upstreams.close();
      await parts.bus.close();
    },
  };
}

type RequestHandler = Parameters<NonNullable<NonNullable<ServiceOptions['fastify']>['serverFactory']>>[0];

/** Reads and writes are taken before the router sees them. */
function edgeServer(edge: Edge, handler: RequestHandler): Server {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      ...HTTP_SERVER,
      noDelay: true,
    },
    (req, res) => {
      if (!edge.accept(req, res)) handler(req, res);
    },
  );
  return server;
}

/** Raw routes stand in a scope of their own: there their errors become problems like those of all others. */
async function configure(
  fastify: FastifyInstance,
  { edge, feed, follower, hub, directory }: GatewayParts,
): Promise<void> {
  await fastify.register(async (scope) => {
    registerProxiedRoutes(scope, edge);
    registerEventRoutes(scope, feed);
    await registerDocsRoutes(scope);
    registerWatchRoutes(scope, {
      hub,
      readHeaders: () => ({
        [HEADERS.node]: follower.followedNode ?? '',
        [HEADERS.version]: String(follower.version),
        [HEADERS.term]: String(Math.max(follower.term, directory.leader.term)),
      }),
    });
  });
}

/** Ready by the rule of ServingGate. The rest is shown: the gateway serves what it can without it. */
function readinessOf({ bus, directory }: GatewayParts): Readiness {
  const readiness = new Readiness();
  const gate = new ServingGate(systemClock.monotonicMs());
  const nodes = () => directory.table.all();
  const usable = () => nodes().filter((node) => node.address !== null && node.answers !== false);
  const leader = () => ({
    ok: directory.leaderConfirmed,
    id: directory.leader.id,
    term: directory.leader.term,
  });
  readiness.add(
    'nodes',
    () => {
      const state = gate.judge({
        nowMs: systemClock.monotonicMs(),
        nodeAnswers: usable().some((node) => node.answers === true || node.status !== null),
        leaderConfirmed: directory.leaderConfirmed,
        leaderWasConfirmed: directory.leaderWasConfirmed,
        // Without a registry nobody says who is in sync: the leader is.
        nodeInSync: directory.registrySilent() || nodes().some((node) => node.status === 'healthy'),
      });
      return { ok: isReady(state), state, usable: usable().length };
    },
    { required: true },
  );
  readiness.add('leader', leader, { required: false });
  readiness.add('nats', () => ({ ok: bus.connected }), { required: false });
  readiness.add('registry', () => ({ ok: !directory.registrySilent() }), { required: false });
  return readiness;
}

/**
 * Leaves without failing a request: takes no new connections, closes each with its next answer, sends watchers
 * elsewhere, and closes what is idle when clients have had time to notice.
 */
async function drain(server: Server, { edge, hub, feed }: GatewayParts): Promise<void> {
  // Of net, not of http: that one would close idle connections at once, also those with a request on its way.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  edge.drain();
  hub.drain();
  feed.drain();
  let open = true;
  const done = closed.then(() => {
    open = false;
  });
  for (let ms = 0; open && ms < DRAIN_LIMIT_MS; ms += DRAIN_LOOK_EVERY_MS) {
    if (ms >= DRAIN_MS) server.closeIdleConnections();
    await Promise.race([done, sleep(DRAIN_LOOK_EVERY_MS)]);
  }
  server.closeAllConnections();
  await done;
}
