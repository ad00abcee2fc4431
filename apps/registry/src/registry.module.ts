import { type DynamicModule, Module } from '@nestjs/common';
import type { Clock } from '#libs/kernel';
import { Bus, type BusLogger, FactOutbox, FactStream } from '#libs/messaging';
import { Metrics } from '#libs/observability';
import { PrimaryPool } from '#libs/postgres';
import type { RedisCache } from '#libs/redis';
import { Journal } from './journal.js';
import { RegistryCache } from './registry.cache.js';
import type { RegistrySettings } from './registry.config.js';
import { RegistryController } from './registry.controller.js';
import { RegistryMetrics } from './registry.metrics.js';
import { RegistryService } from './registry.service.js';
import { RegistryStore } from './registry.store.js';

export interface RegistryParts {
  bus: Bus;
  pool: PrimaryPool;
  redis: RedisCache;
  metrics: Metrics;
  logger: BusLogger;
  clock: Clock;
  settings: RegistrySettings;
}

@Module({})
export class RegistryModule {}

/** Wiring only: the connections are made by whoever starts the service, who also closes them. */
export function registryModule(parts: RegistryParts): DynamicModule {
  const { bus, pool, redis, metrics, logger, clock, settings } = parts;
  return {
    module: RegistryModule,
    controllers: [RegistryController],
    providers: [
      { provide: Bus, useValue: bus },
      { provide: PrimaryPool, useValue: pool },
      { provide: Metrics, useValue: metrics },
      RegistryStore,
      RegistryMetrics,
      { provide: RegistryCache, useValue: new RegistryCache(redis, { ttlMs: settings.cacheTtlMs }) },
      { provide: FactStream, useValue: new FactStream(bus, logger) },
      {
        provide: FactOutbox,
        useFactory: (stream: FactStream, store: RegistryStore) =>
          new FactOutbox(stream, store, logger, { everyMs: settings.outboxEveryMs }),
        inject: [FactStream, RegistryStore],
      },
      {
        provide: Journal,
        useFactory: (store: RegistryStore, outbox: FactOutbox) => new Journal(store, outbox, logger),
        inject: [RegistryStore, FactOutbox],
      },
      {
        provide: RegistryService,
        useFactory: (
          store: RegistryStore,
          cache: RegistryCache,
          journal: Journal,
          registryMetrics: RegistryMetrics,
        ) => new RegistryService(bus, store, cache, journal, registryMetrics, settings, clock, logger),
        inject: [RegistryStore, RegistryCache, Journal, RegistryMetrics],
      },
    ],
  };
}
