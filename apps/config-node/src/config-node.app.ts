import { systemClock } from '#libs/kernel';
import { Bus } from '#libs/messaging';
import { createLogger, Metrics, Readiness } from '#libs/observability';
import { PublicGuard, type ServiceOptions } from '#libs/service';
import { maskSecrets, timingsOf } from '#libs/settings';
import { Alerts } from './announce/alerts.js';
import type { NodeSettings } from './config-node.config.js';
import { configNodeModule } from './config-node.module.js';
import { type PublicApi, registerPublicApi } from './http/public-api.js';
import { ConfigNode } from './node.js';
import { ConfigStore } from './store/config.store.js';

/** Everything that one config node consists of, with the state of its last run, ready to be started. */
export async function configNodeApp(settings: NodeSettings): Promise<ServiceOptions> {
  const { nodeId } = settings;
  const logger = createLogger({ service: 'config-node', node: nodeId, level: settings.logLevel });
  logger.info({ settings: maskSecrets(settings) }, 'starting');
  const metrics = new Metrics('config-node', nodeId);
  const readiness = new Readiness();
  const bus = Bus.connect({
    servers: settings.natsServers,
    user: settings.natsUser,
    password: settings.natsPassword,
    clusterKey: settings.clusterKey,
    subjectPrefix: settings.subjectPrefix,
    name: nodeId,
    logger,
  });
  const alerts = new Alerts(nodeId, bus, systemClock);
  metrics.gauge('bus_messages', 'Messages of the bus since the start', ['outcome'], (gauge) => {
    for (const [outcome, count] of Object.entries(bus.counts)) gauge.set({ outcome }, count);
  });
  const database = {
    hosts: settings.postgresHosts,
    database: settings.postgresDatabase,
    user: settings.postgresUser ?? 'holdfast_node',
    password: settings.postgresPassword,
    applicationName: nodeId,
    onConnectionError: (error: Error) =>
      logger.debug({ reason: error.message }, 'a database connection broke'),
    onSplit: (summary: string) => {
      logger.error({ summary }, 'more than one Postgres takes writes');
      alerts.critical('storage.split', summary);
    },
  };
  const store = ConfigStore.open(database, settings.nodeRole);
  const engine = new ConfigNode(
    {
      nodeId,
      mayLead: settings.nodeRole === 'voter',
      priority: settings.nodePriority,
      metadata: settings.nodeMetadata,
      dataDir: settings.dataDir,
      maxLostTail: settings.maxLostTail,
      clusterKey: settings.clusterKey,
      seeds: settings.nodes,
      timings: timingsOf(settings.preset),
      retention: {
        everyMs: settings.compactionEveryMs,
        windowVersions: settings.compactionKeepVersions,
      },
    },
    { store, bus, metrics, clock: systemClock, logger },
  );
  engine.addReadiness(readiness);
  await engine.restore();
  const guard = new PublicGuard(settings);
  let api: PublicApi | undefined;

  return {
    module: configNodeModule(engine, store),
    logger,
    metrics,
    readiness,
    guard,
    ping: () => engine.ping(),
    configure: async (fastify) => {
      await engine.registerInternalApi(fastify);
      const { host, leadership, publisher } = engine;
      const { clusterKey } = settings;
      const clock = systemClock;
      const parts = { host, leadership, publisher, store, guard, clusterKey, clock, metrics, logger };
      api = await registerPublicApi(fastify, parts);
    },
    listen: { port: settings.port, host: settings.bind },
    started: async (_app, port) => {
      const address = settings.address ?? `http://${settings.bind}:${port}`;
      guard.announce(address);
      for (const seed of settings.nodes) if (seed.id === nodeId) guard.announce(seed.address);
      await engine.start(address);
      await bus.subscribed();
    },
    stopping: () => engine.announceStop(),
    stopped: async () => {
      await api?.stop();
      await engine.stop();
      await bus.close();
      await store.end();
    },
  };
}
