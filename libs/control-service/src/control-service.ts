import { hostname } from 'node:os';
import type { DynamicModule } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Clock, systemClock } from '#libs/kernel';
import { Bus, BusStrategy } from '#libs/messaging';
import { createLogger, type Logger, Metrics, Readiness } from '#libs/observability';
import { PrimaryPool } from '#libs/postgres';
import { PublicGuard, type ServiceOptions } from '#libs/service';
import {
  loadSettings,
  maskSecrets,
  NATS_SETTINGS,
  POSTGRES_SETTINGS,
  PROCESS_SETTINGS,
  type SettingName,
  type Settings,
  type SettingsInput,
} from '#libs/settings';

/** What every control service is told: its process, the bus and the database. */
export const CONTROL_SETTINGS = [...PROCESS_SETTINGS, ...NATS_SETTINGS, ...POSTGRES_SETTINGS] as const;
export type ControlSettings = Settings<(typeof CONTROL_SETTINGS)[number]>;

/** The settings of a control service, by the names of its own ones. Without an input: of this process. */
export function loadControlSettings<K extends SettingName>(
  service: string,
  own: readonly K[],
  input?: SettingsInput,
): Settings<(typeof CONTROL_SETTINGS)[number] | K> {
  type Name = (typeof CONTROL_SETTINGS)[number] | K;
  const defaults: Partial<Record<Name, unknown>> = {};
  Object.assign(defaults, { port: 7500, postgresUser: `holdfast_${service}` });
  return loadSettings<Name>([...CONTROL_SETTINGS, ...own], defaults, input);
}

/** What the chassis makes for a service; it closes the connections when the service has stopped. */
export interface ControlParts {
  instanceId: string;
  bus: Bus;
  pool: PrimaryPool;
  metrics: Metrics;
  readiness: Readiness;
  logger: Logger;
  clock: Clock;
}

/** What a control service adds to the chassis. */
export interface ControlService {
  module: DynamicModule;
  /** What GET /ping says beside `service` and `instanceId`. `app` is undefined until the service starts. */
  ping?: (app: NestFastifyApplication | undefined) => object;
  /** Begins the work. HTTP requests are served; the bus is subscribed to, or it did not answer in time and will be later. */
  start: (app: NestFastifyApplication) => Promise<void> | void;
  /** Ends the work, while requests are still served. */
  stop: (app: NestFastifyApplication) => Promise<void>;
  /** Closes the service's own connections, after the HTTP server has closed. */
  close?: (app: NestFastifyApplication | undefined) => Promise<void> | void;
}

export interface ChassisOptions {
  /** Name of the service: of its metrics, its queue group on the bus, and its database role `holdfast_<name>`. */
  name: string;
  /** Connections to the database; 5 by default. */
  poolSize?: number;
  /** Without the bus it is not ready. */
  needsBus?: boolean;
}

/**
 * The process of a control service: logger, metrics, readiness, the connections to the bus and to the database, and the
 * order in which all of it starts and stops.
 */
export function controlService(
  { name, poolSize, needsBus = false }: ChassisOptions,
  settings: ControlSettings,
  serviceOf: (parts: ControlParts) => ControlService,
): ServiceOptions {
  const instanceId = settings.instanceId ?? `${name}-${hostname()}-${process.pid}`;
  const logger = createLogger({ service: name, node: instanceId, level: settings.logLevel });
  logger.info({ settings: maskSecrets(settings) }, 'starting');
  const metrics = new Metrics(name, instanceId);
  const readiness = new Readiness();
  const bus = connectBus(settings, instanceId, logger, metrics);
  const pool = openPool({ name, poolSize, instanceId, bus, logger }, settings);
  readiness.add('nats', () => ({ ok: bus.connected }), { required: needsBus });
  readiness.add('postgres', () => ({ ok: pool.available() }), { required: false });

  const parts = { instanceId, bus, pool, metrics, readiness, logger, clock: systemClock };
  const service = serviceOf(parts);
  let started: NestFastifyApplication | undefined;
  return {
    module: service.module,
    logger,
    metrics,
    readiness,
    guard: new PublicGuard(settings),
    ping: () => ({ service: name, instanceId, ...service.ping?.(started) }),
    strategies: [new BusStrategy(bus, { queue: name })],
    listen: { port: settings.port, host: settings.bind },
    started: async (app) => {
      started = app;
      await service.start(app);
    },
    stopping: async () => {
      if (started !== undefined) await service.stop(started);
    },
    stopped: async () => {
      await service.close?.(started);
      await bus.close();
      await pool.end();
    },
  };
}

function connectBus(settings: ControlSettings, name: string, logger: Logger, metrics: Metrics): Bus {
  const bus = Bus.connect({
    servers: settings.natsServers,
    user: settings.natsUser,
    password: settings.natsPassword,
    clusterKey: settings.clusterKey,
    subjectPrefix: settings.subjectPrefix,
    name,
    logger,
  });
  metrics.gauge('bus_messages', 'Messages of the bus since the start', ['outcome'], (gauge) => {
    for (const [outcome, count] of Object.entries(bus.counts)) gauge.set({ outcome }, count);
  });
  return bus;
}

interface PoolParts {
  name: string;
  poolSize: number | undefined;
  instanceId: string;
  bus: Bus;
  logger: Logger;
}

function openPool(
  { name, poolSize, instanceId, bus, logger }: PoolParts,
  settings: ControlSettings,
): PrimaryPool {
  return new PrimaryPool({
    hosts: settings.postgresHosts,
    database: settings.postgresDatabase,
    user: settings.postgresUser ?? `holdfast_${name}`,
    password: settings.postgresPassword,
    applicationName: instanceId,
    ...(poolSize !== undefined && { max: poolSize }),
    onSplit: (summary) => {
      logger.error({ summary }, 'more than one Postgres takes writes');
      bus.publishFamily('alert.raised', 'critical', {
        name: 'storage.split',
        severity: 'critical',
        summary,
        labels: { node: instanceId },
        at: new Date(systemClock.wallMs()).toISOString(),
      });
    },
  });
}
