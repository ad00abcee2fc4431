import type { Clock } from '#libs/kernel';
import type { Logger, Metrics } from '#libs/observability';
import type { Alerts } from '../announce/alerts.js';
import type { Publisher } from '../commit/publisher.js';
import { EntriesScrubber } from '../integrity/entries-scrubber.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { ConfigStore } from '../store/config.store.js';
import type { LeaderFence } from '../store/head-lock.js';
import { Compactor, type CompactorOptions } from './compactor.js';

interface UpkeepParts {
  store: ConfigStore;
  host: ReplicaHost;
  publisher: Publisher;
  alerts: Alerts;
}

/** What a leader does for the database between its batches. */
export class Upkeep {
  private readonly scrubber: EntriesScrubber;
  private readonly compactor: Compactor;

  constructor(
    retention: CompactorOptions,
    { store, host, publisher, alerts }: UpkeepParts,
    metrics: Metrics,
    clock: Clock,
    logger: Logger,
  ) {
    this.scrubber = new EntriesScrubber(
      store.entriesScrub,
      publisher,
      host,
      { alerts, logger },
      metrics,
      clock,
    );
    this.compactor = new Compactor({ options: retention, store, host, publisher, metrics, clock, logger });
  }

  begin(leader: LeaderFence): void {
    this.scrubber.begin(leader);
    this.compactor.begin(leader);
  }

  end(): void {
    this.scrubber.end();
    this.compactor.end();
  }

  async stop(): Promise<void> {
    await Promise.all([this.scrubber.stop(), this.compactor.stop()]);
  }
}
