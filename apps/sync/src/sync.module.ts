import { type DynamicModule, Module } from '@nestjs/common';
import type { Clock } from '#libs/kernel';
import { Bus, type BusLogger } from '#libs/messaging';
import { Metrics } from '#libs/observability';
import { PrimaryPool } from '#libs/postgres';
import type { SyncSettings } from './sync.config.js';
import { SyncController } from './sync.controller.js';
import { SyncMetrics } from './sync.metrics.js';
import { SyncService } from './sync.service.js';
import { SyncStore } from './sync.store.js';
import { SyncNodeClient } from './sync-node-client.js';

export interface SyncParts {
  bus: Bus;
  pool: PrimaryPool;
  metrics: Metrics;
  logger: BusLogger;
  clock: Clock;
  settings: SyncSettings;
}

@Module({})
export class SyncModule {}

/** Wiring only. */
export function syncModule({ bus, pool, metrics, logger, clock, settings }: SyncParts): DynamicModule {
  return {
    module: SyncModule,
    controllers: [SyncController],
    providers: [
      { provide: PrimaryPool, useValue: pool },
      { provide: Metrics, useValue: metrics },
      { provide: SyncNodeClient, useValue: new SyncNodeClient(settings.clusterKey) },
      SyncStore,
      SyncMetrics,
      {
        provide: SyncService,
        useFactory: (store: SyncStore, calls: SyncNodeClient, syncMetrics: SyncMetrics) =>
          new SyncService({ bus, store, calls, metrics: syncMetrics, settings, clock, logger }),
        inject: [SyncStore, SyncNodeClient, SyncMetrics],
      },
    ],
  };
}
