import { hostname } from 'node:os';
import { maskSecrets } from '#libs/config';
import { systemClock } from '#libs/kernel';
import { Bus, BusStrategy, EventOutbox } from '#libs/messaging';
import { createLogger, Metrics, Readiness } from '#libs/observability';
import { PrimaryPool } from '#libs/postgres';
import { PublicGuard, type ServiceOptions } from '#libs/service';
import { consistencySettings, type loadConsistencySettings } from './consistency.config.js';
import { consistencyModule } from './consistency.module.js';
import { ConsistencyService } from './consistency.service.js';
import { DigestClient } from './digest-client.js';

/** Everything that one consistency process consists of, ready to be started. */
export function consistencyApp(settings: ReturnType<typeof loadConsistencySettings>): ServiceOptions {
  const instanceId = settings.instanceId ?? `consistency-${hostname()}-${process.pid}`;
  const logger = createLogger({ service: 'consistency', node: instanceId, level: settings.logLevel });
  logger.info({ settings: maskSecrets(settings) }, 'starting');
  const metrics = new Metrics('consistency', instanceId);
  const readiness = new Readiness();

  const bus = Bus.connect({
    servers: settings.natsServers,
    user: settings.natsUser,
    password: settings.natsPassword,
    clusterKey: settings.clusterKey,
    subjectPrefix: settings.subjectPrefix,
    name: instanceId,
    logger,
  });
  const pool = new PrimaryPool({
    hosts: settings.postgresHosts,
    database: settings.postgresDatabase,
    user: settings.postgresUser ?? 'holdfast_consistency',
    password: settings.postgresPassword,
    applicationName: instanceId,
    max: 3,
  });
  metrics.gauge('bus_messages', 'Messages of the bus since the start', ['outcome'], (gauge) => {
    for (const [outcome, count] of Object.entries(bus.counts)) gauge.set({ outcome }, count);
  });
  readiness.add('nats', () => ({ ok: bus.connected }), { required: false });
  readiness.add('postgres', () => ({ ok: pool.available() }), { required: false });

  let nodes = () => 0;
  let stop = async (): Promise<void> => undefined;
  return {
    module: consistencyModule({
      bus,
      pool,
      metrics,
      logger,
      clock: systemClock,
      settings: consistencySettings(settings, instanceId),
    }),
    logger,
    metrics,
    readiness,
    guard: new PublicGuard(settings),
    ping: () => ({ service: 'consistency', instanceId, nodes: nodes() }),
    strategies: [new BusStrategy(bus, { queue: 'consistency' })],
    listen: { port: settings.port, host: settings.bind },
    started: (app) => {
      const service = app.get(ConsistencyService);
      const calls = app.get(DigestClient);
      const outbox = app.get(EventOutbox);
      service.start(settings.nodes);
      nodes = () => service.nodes;
      stop = async () => {
        await service.stop();
        await outbox.stop();
        await calls.close();
      };
    },
    stopping: () => stop(),
    stopped: async () => {
      await bus.close();
      await pool.end();
    },
  };
}
