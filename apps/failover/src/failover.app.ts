import { hostname } from 'node:os';
import { maskSecrets } from '#libs/config';
import { systemClock } from '#libs/kernel';
import { Bus, BusStrategy, EventOutbox } from '#libs/messaging';
import { createLogger, Metrics, Readiness } from '#libs/observability';
import { PrimaryPool } from '#libs/postgres';
import { PublicGuard, type ServiceOptions } from '#libs/service';
import { restartDrivers } from './drivers/restart-drivers.js';
import { failoverSettings, type LoadedFailoverSettings } from './failover.config.js';
import { failoverModule } from './failover.module.js';
import { FailoverService } from './failover.service.js';
import { HttpCalls } from './nodes/http-calls.js';

/** Everything that one failover process consists of, ready to be started. */
export function failoverApp(settings: LoadedFailoverSettings): ServiceOptions {
  const instanceId = settings.instanceId ?? `failover-${hostname()}-${process.pid}`;
  const logger = createLogger({ service: 'failover', node: instanceId, level: settings.logLevel });
  logger.info({ settings: maskSecrets(settings) }, 'starting');
  const metrics = new Metrics('failover', instanceId);
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
    user: settings.postgresUser ?? 'holdfast_failover',
    password: settings.postgresPassword,
    applicationName: instanceId,
  });
  metrics.gauge('bus_messages', 'Messages of the bus since the start', ['outcome'], (gauge) => {
    for (const [outcome, count] of Object.entries(bus.counts)) gauge.set({ outcome }, count);
  });
  readiness.add('nats', () => ({ ok: bus.connected }), { required: false });
  readiness.add('postgres', () => ({ ok: pool.available() }), { required: false });

  const module = failoverModule({
    bus,
    pool,
    metrics,
    logger,
    clock: systemClock,
    settings: failoverSettings(settings, instanceId),
    drivers: restartDrivers(settings),
  });
  let stop = async () => undefined;
  let close = async () => undefined;
  return {
    module,
    logger,
    metrics,
    readiness,
    guard: new PublicGuard(settings),
    ping: () => ({ service: 'failover', instanceId }),
    strategies: [new BusStrategy(bus, { queue: 'failover' })],
    listen: { port: settings.port, host: settings.bind },
    started: (app) => {
      const service = app.get(FailoverService);
      const outbox = app.get(EventOutbox);
      const calls = app.get(HttpCalls);
      service.start(settings.nodes);
      readiness.add('tables', () => ({ ok: service.ready }), { required: false });
      stop = async () => {
        await service.stop();
        await outbox.stop();
        return undefined;
      };
      close = async () => {
        await calls.close();
        return undefined;
      };
    },
    stopping: () => stop(),
    stopped: async () => {
      await close();
      await bus.close();
      await pool.end();
    },
  };
}
