import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { crashOnDefect } from '#libs/kernel';
import { registerWatchRoutes, WatchHub } from '#libs/watch';
import { StorageReads } from '../history/storage-reads.js';
import { readHeaders } from './answers.js';
import { HeavyAnswers } from './heavy-answers.js';
import type { PublicApiDeps } from './public-api.deps.js';
import { HotRead } from './reads/hot-read.js';
import { LogRoutes } from './reads/log-routes.js';
import { NodeChanges } from './reads/node-changes.js';
import { PastValues } from './reads/past-values.js';
import { ReadGate } from './reads/read-gate.js';
import { ValueRoutes } from './reads/value-routes.js';
import { ValueWorkers } from './values/value-workers.js';
import { RequestBodies } from './writes/request-bodies.js';
import { WriteForwarder } from './writes/write-forwarder.js';
import { WriteRoutes } from './writes/write-routes.js';

export interface PublicApi {
  readonly hub: WatchHub;
  /** Sends watchers elsewhere; everything else is still served. */
  drain(): void;
  stop(): Promise<void>;
}

/** The public interface of a node, as raw routes: "Configuration" and "Watch". */
export async function registerPublicApi(fastify: FastifyInstance, deps: PublicApiDeps): Promise<PublicApi> {
  const { host, store, guard, clock, metrics, logger } = deps;
  const storage = new StorageReads();
  const past = new PastValues(host, store, storage);
  const parts = { gate: new ReadGate(host, store, storage), past, heavy: new HeavyAnswers(host), storage };
  const workers = new ValueWorkers();
  const bodies = new RequestBodies();
  const forwarder = new WriteForwarder(deps.clusterKey);
  const hotRead = new HotRead(host, guard);
  const ended = metrics.counter('watches_ended_total', 'Watches that this process ended', ['reason']);
  const hub = new WatchHub({
    source: new NodeChanges(host, store),
    clock,
    onError: (error) => {
      crashOnDefect(error);
      logger.warn({ error }, 'serving a watcher failed: its stream is ended');
    },
    onEnded: (reason) => ended.inc({ reason }),
  });
  metrics.gauge('watchers', 'Watchers by state', ['state'], (gauge) => {
    for (const [state, count] of Object.entries(hub.counts)) gauge.set({ state }, count);
  });
  metrics.gauge('hot_reads', 'Reads that were answered before the router since the start', [], (gauge) =>
    gauge.set(hotRead.count),
  );

  await fastify.register(async (scope) => {
    // Values are bytes: nothing of Fastify's may parse them, least of all as JSON, which rounds large numbers.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) =>
      bodies.read(request, payload),
    );
    scope.addHook('preParsing', async (request, reply) => bodies.expect(request.raw, reply.raw));
    // A key that is not there was read too: as of which version, a client that never goes back must know.
    scope.addHook('onError', async (_request, reply) => {
      reply.headers(readHeaders(host));
    });
    new ValueRoutes({ ...parts, host }).register(scope);
    new LogRoutes({ ...parts, host, store, workers }).register(scope);
    new WriteRoutes({ ...deps, past, workers, forwarder }).register(scope);
    registerWatchRoutes(scope, { hub, readHeaders: () => readHeaders(host) });
  });
  fastify.addHook('onReady', async () => hotRead.install(fastify.server));
  fastify.addHook('preClose', async () => {
    hotRead.leave();
    hub.drain();
  });
  return {
    hub,
    drain: () => hub.drain(),
    stop: async () => {
      hub.stop();
      await Promise.all([workers.stop(), forwarder.stop()]);
    },
  };
}
