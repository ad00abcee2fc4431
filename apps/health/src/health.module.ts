import { type DynamicModule, Module } from '@nestjs/common';
import { PostgresOutbox } from '#libs/control-service';
import type { Clock, Rng } from '#libs/kernel';
import type { Bus, BusLogger } from '#libs/messaging';
import { DurableEvents, EventJournal, EventOutbox } from '#libs/messaging';
import type { Metrics } from '#libs/observability';
import type { PrimaryPool } from '#libs/postgres';
import type { HealthSettings } from './health.config.js';
import { HealthController } from './health.controller.js';
import { HealthMetrics } from './health.metrics.js';
import { HealthReports } from './health.reports.js';
import { HealthService } from './health.service.js';
import { HealthStore } from './health.store.js';
import { HealthInstances } from './health-instances.js';
import { NodeProbes } from './node-probes.js';

export interface HealthParts {
  bus: Bus;
  pool: PrimaryPool;
  metrics: Metrics;
  logger: BusLogger;
  clock: Clock;
  rng: Rng;
  settings: HealthSettings;
}

@Module({})
export class HealthModule {}

/** Wiring only, in the order in which the parts need each other. */
export function healthModule(parts: HealthParts): DynamicModule {
  const { bus, pool, logger, clock, rng, settings } = parts;
  const store = new HealthStore(pool);
  const metrics = new HealthMetrics(parts.metrics);
  const stream = new DurableEvents(bus, logger);
  const outbox = new EventOutbox(stream, new PostgresOutbox(pool, 'health'), logger, {
    everyMs: settings.outboxEveryMs,
  });
  const journal = new EventJournal(store, outbox, logger);
  const probes = new NodeProbes(metrics, settings, clock, rng);
  const peers = new HealthInstances(bus, store, settings, clock);
  const service = new HealthService({ bus, store, probes, peers, journal, metrics, settings, clock, logger });
  const reports = new HealthReports(bus, store, probes, service, settings, logger);
  return {
    module: HealthModule,
    controllers: [HealthController],
    providers: [
      { provide: EventOutbox, useValue: outbox },
      { provide: HealthService, useValue: service },
      { provide: HealthReports, useValue: reports },
    ],
  };
}
