import { hostname } from 'node:os';
import { maskSecrets } from '#libs/config';
import { systemClock, systemRng } from '#libs/kernel';
import { Bus, BusStrategy, EventOutbox } from '#libs/messaging';
import { createLogger, Metrics, Readiness } from '#libs/observability';
import { PrimaryPool } from '#libs/postgres';
import { PublicGuard, type ServiceOptions } from '#libs/service';
import { healthSettings, type loadHealthSettings } from './health.config.js';
import { healthModule } from './health.module.js';
import { HealthReports } from './health.reports.js';
import { HealthService } from './health.service.js';

/** Everything that one health process consists of, ready to be started. */
export function healthApp(settings: ReturnType<typeof loadHealthSettings>): ServiceOptions {
  const instanceId = settings.instanceId ?? `health-${hostname()}-${process.pid}`;
  const logger = createLogger({ service: 'health', node: instanceId, level: settings.logLevel });
  logger.info({ settings: maskSecrets(settings) }, 'starting');
  const metrics = new Metrics('health', instanceId);
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
    user: settings.postgresUser ?? 'holdfast_health',
    password: settings.postgresPassword,
    applicationName: instanceId,
    max: 2,
  });
  metrics.gauge('bus_messages', 'Messages of the bus since the start', ['outcome'], (gauge) => {
    for (const [outcome, count] of Object.entries(bus.counts)) gauge.set({ outcome }, count);
  });
  readiness.add('nats', () => ({ ok: bus.connected }), { required: false });
  readiness.add('postgres', () => ({ ok: pool.available() }), { required: false });

  const module = healthModule({
    bus,
    pool,
    metrics,
    logger,
    clock: systemClock,
    rng: systemRng,
    settings: healthSettings(settings.preset, instanceId),
  });
  let probing = () => 0;
  let stop = async (): Promise<void> => undefined;
  return {
    module,
    logger,
    metrics,
    readiness,
    guard: new PublicGuard(settings),
    ping: () => ({ service: 'health', instanceId, probing: probing() }),
    strategies: [new BusStrategy(bus, { queue: 'health' })],
    listen: { port: settings.port, host: settings.bind },
    started: async (app) => {
      const service = app.get(HealthService);
      const reports = app.get(HealthReports);
      const outbox = app.get(EventOutbox);
      service.start(settings.nodes);
      reports.start();
      probing = () => service.probing;
      stop = async () => {
        reports.stop();
        await service.stop();
        await outbox.stop();
      };
      await bus.subscribed();
    },
    stopping: () => stop(),
    stopped: async () => {
      await bus.close();
      await pool.end();
    },
  };
}
