import { hostname } from 'node:os';
import { maskSecrets } from '#libs/config';
import { systemClock } from '#libs/kernel';
import { Bus, BusStrategy } from '#libs/messaging';
import { createLogger, Metrics, Readiness } from '#libs/observability';
import { PrimaryPool } from '#libs/postgres';
import { PublicGuard, type ServiceOptions } from '#libs/service';
import { type loadSyncSettings, syncSettings } from './sync.config.js';
import { syncModule } from './sync.module.js';
import { SyncService } from './sync.service.js';

/** Everything that one sync process consists of, ready to be started. */
export function syncApp(settings: ReturnType<typeof loadSyncSettings>): ServiceOptions {
  const instanceId = settings.instanceId ?? `sync-${hostname()}-${process.pid}`;
  const logger = createLogger({ service: 'sync', node: instanceId, level: settings.logLevel });
  logger.info({ settings: maskSecrets(settings) }, 'starting');
  const metrics = new Metrics('sync', instanceId);
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
    user: settings.postgresUser ?? 'holdfast_sync',
    password: settings.postgresPassword,
    applicationName: instanceId,
    // Every task reads a page ahead of the one that it sends.
    max: 4,
  });
  metrics.gauge('bus_messages', 'Messages of the bus since the start', ['outcome'], (gauge) => {
    for (const [outcome, count] of Object.entries(bus.counts)) gauge.set({ outcome }, count);
  });
  readiness.add('nats', () => ({ ok: bus.connected }), { required: false });
  readiness.add('postgres', () => ({ ok: pool.available() }), { required: false });

  let service: SyncService | undefined;
  return {
    module: syncModule({
      bus,
      pool,
      metrics,
      logger,
      clock: systemClock,
      settings: syncSettings(settings, instanceId),
    }),
    logger,
    metrics,
    readiness,
    guard: new PublicGuard(settings),
    ping: () => ({ service: 'sync', instanceId, head: service?.head ?? 0 }),
    strategies: [new BusStrategy(bus, { queue: 'sync' })],
    listen: { port: settings.port, host: settings.bind },
    started: (app) => {
      const sync = app.get(SyncService);
      sync.start(settings.nodes);
      service = sync;
    },
    stopping: async () => {
      await service?.stop();
    },
    stopped: async () => {
      await bus.close();
      await pool.end();
    },
  };
}
