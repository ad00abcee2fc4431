import { type DynamicModule, Module } from '@nestjs/common';
import { PostgresOutbox } from '#libs/control-service';
import type { Clock } from '#libs/kernel';
import type { Bus, BusLogger } from '#libs/messaging';
import { DurableEvents, EventJournal, EventOutbox } from '#libs/messaging';
import type { Metrics } from '#libs/observability';
import type { PrimaryPool } from '#libs/postgres';
import type { ConsistencySettings } from './consistency.config.js';
import { ConsistencyController } from './consistency.controller.js';
import { ConsistencyMetrics } from './consistency.metrics.js';
import { ConsistencyService } from './consistency.service.js';
import { ConsistencyStore } from './consistency.store.js';
import { DigestClient } from './digest-client.js';
import { KnownNodes } from './domain/known-nodes.js';
import { EntriesStore } from './reference/entries.store.js';
import { ReferenceStore } from './reference/reference.store.js';
import { ReferenceCheck } from './reference/reference-check.js';
import { Checks } from './rounds/checks.js';
import { Repairer } from './rounds/repairer.js';
import { RoundRunner } from './rounds/round-runner.js';

export interface ConsistencyParts {
  bus: Bus;
  pool: PrimaryPool;
  metrics: Metrics;
  logger: BusLogger;
  clock: Clock;
  settings: ConsistencySettings;
}

@Module({})
export class ConsistencyModule {}

/** Wiring only, in the order in which the parts need each other. */
export function consistencyModule(parts: ConsistencyParts): DynamicModule {
  const { bus, pool, logger, clock, settings } = parts;
  const store = new ConsistencyStore(pool);
  const truth = new ReferenceStore(pool);
  const metrics = new ConsistencyMetrics(parts.metrics);
  const outbox = new EventOutbox(
    new DurableEvents(bus, logger),
    new PostgresOutbox(pool, 'consistency'),
    logger,
    {
      everyMs: settings.outboxEveryMs,
    },
  );
  const journal = new EventJournal(store, outbox, logger);
  const members = new KnownNodes();
  const calls = new DigestClient(settings.clusterKey);
  const truthCheck = new ReferenceCheck(
    new EntriesStore(pool, clock),
    store,
    calls,
    metrics,
    settings,
    clock,
  );
  const runner = new RoundRunner(truth, calls, settings);
  const repairer = new Repairer(store, truth, calls, settings, clock, logger);
  const checks = new Checks({
    members,
    store,
    truth,
    truthCheck,
    runner,
    repairer,
    journal,
    metrics,
    settings,
    clock,
    logger,
  });
  const service = new ConsistencyService({
    bus,
    members,
    store,
    truth,
    truthCheck,
    checks,
    journal,
    calls,
    metrics,
    settings,
    clock,
    logger,
  });
  return {
    module: ConsistencyModule,
    controllers: [ConsistencyController],
    providers: [
      { provide: EventOutbox, useValue: outbox },
      { provide: DigestClient, useValue: calls },
      { provide: ConsistencyService, useValue: service },
    ],
  };
}
