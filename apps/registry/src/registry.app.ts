import { hostname } from 'node:os';
import { maskSecrets } from '#libs/config';
import { deriveKey, systemClock } from '#libs/kernel';
import { Bus, BusStrategy, EventOutbox } from '#libs/messaging';
import { createLogger, Metrics, Readiness } from '#libs/observability';
import { PrimaryPool } from '#libs/postgres';
import { RedisCache } from '#libs/redis';
import { PublicGuard, type ServiceOptions } from '#libs/service';
import { EvidenceIntake } from './evidence-intake.js';
import { type loadRegistrySettings, registrySettings } from './registry.config.js';
import { registryModule } from './registry.module.js';
import { RegistryService } from './registry.service.js';

/** Everything that one registry process consists of, ready to be started. */
export function registryApp(settings: ReturnType<typeof loadRegistrySettings>): ServiceOptions {
  const instanceId = settings.instanceId ?? `registry-${hostname()}-${process.pid}`;
  const logger = createLogger({ service: 'registry', node: instanceId, level: settings.logLevel });
  logger.info({ settings: maskSecrets(settings) }, 'starting');
  const metrics = new Metrics('registry', instanceId);
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
    user: settings.postgresUser ?? 'holdfast_registry',
    password: settings.postgresPassword,
    applicationName: instanceId,
  });
  const redis = RedisCache.connect({
    host: settings.redisHost,
    port: settings.redisPort,
    password: settings.redisPassword,
    sentinels: settings.redisSentinels,
    masterName: settings.redisMaster,
    connectionName: instanceId,
    macKey: deriveKey(settings.clusterKey, 'redis-mac'),
    onForged: (key) => logger.warn({ key }, 'removed a cache entry without a valid MAC'),
    onError: (error) => logger.debug({ reason: error.message }, 'redis connection error'),
  });

  metrics.gauge('bus_messages', 'Messages of the bus since the start', ['outcome'], (gauge) => {
    for (const [outcome, count] of Object.entries(bus.counts)) gauge.set({ outcome }, count);
  });
  readiness.add('nats', () => ({ ok: bus.connected }), { required: true });
  readiness.add('postgres', () => ({ ok: pool.available() }), { required: false });
  readiness.add('redis', () => ({ ok: redis.available }), { required: false });

  let service: RegistryService | undefined;
  let intake: EvidenceIntake | undefined;
  let outbox: EventOutbox | undefined;
  return {
    module: registryModule({
      bus,
      pool,
      redis,
      metrics,
      logger,
      clock: systemClock,
      settings: registrySettings(settings.preset),
    }),
    logger,
    metrics,
    readiness,
    guard: new PublicGuard(settings),
    ping: () => ({ service: 'registry', instanceId, members: service?.list({}).length ?? 0 }),
    strategies: [new BusStrategy(bus, { queue: 'registry' })],
    listen: { port: settings.port, host: settings.bind },
    started: (app) => {
      outbox = app.get(EventOutbox);
      const registry = app.get(RegistryService);
      registry.start();
      const evidence = app.get(EvidenceIntake);
      evidence.start();
      service = registry;
      intake = evidence;
    },
    stopping: async () => {
      await intake?.stop();
      await service?.stop();
      await outbox?.stop();
    },
    stopped: async () => {
      await bus.close();
      redis.close();
      await pool.end();
    },
  };
}
