import { type DynamicModule, Module } from '@nestjs/common';
import { PostgresOutbox } from '#libs/control-service';
import type { Clock } from '#libs/kernel';
import { type Bus, type BusLogger, DurableEvents, EventJournal, EventOutbox } from '#libs/messaging';
import type { Metrics } from '#libs/observability';
import type { PrimaryPool } from '#libs/postgres';
import type { RedisCache } from '#libs/redis';
import { Announcer } from './announcer.js';
import { MemberTable } from './domain/member-table.js';
import { EvidenceIntake } from './evidence-intake.js';
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
  /** Of the cluster, on the bus and in Redis. */
  subjectPrefix?: string;
}

@Module({})
export class RegistryModule {}

/**
 * Wiring only, in the order in which the parts need each other: the connections are made by whoever starts the
 * service, who also closes them.
 */
export function registryModule(parts: RegistryParts): DynamicModule {
  const { bus, pool, redis, logger, clock, settings } = parts;
  const store = new RegistryStore(pool);
  const metrics = new RegistryMetrics(parts.metrics);
  const cache = new RegistryCache(redis, {
    ttlMs: settings.cacheTtlMs,
    subjectPrefix: parts.subjectPrefix ?? '',
  });
  const stream = new DurableEvents(bus, logger);
  const outbox = new EventOutbox(stream, new PostgresOutbox(pool, 'registry'), logger, {
    everyMs: settings.outboxEveryMs,
  });
  const journal = new EventJournal(store, outbox, logger);
  const members = new MemberTable(settings);
  const announcer = new Announcer(members, journal, metrics, clock, logger);
  const intake = new EvidenceIntake({ bus, members, store, announcer, metrics, settings, clock, logger });
  const service = new RegistryService({
    bus,
    members,
    store,
    cache,
    journal,
    announcer,
    intake,
    metrics,
    settings,
    clock,
    logger,
  });
  return {
    module: RegistryModule,
    controllers: [RegistryController],
    providers: [
      { provide: EventOutbox, useValue: outbox },
      { provide: EvidenceIntake, useValue: intake },
      { provide: RegistryService, useValue: service },
    ],
  };
}
