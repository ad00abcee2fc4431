import type { Clock } from '#libs/kernel';
import type { Logger, Metrics } from '#libs/observability';
import type { Alerts } from '../announce/alerts.js';
import type { PeerClient } from '../peers/peer-client.js';
import type { PeerTable } from '../peers/peer-table.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import { DigestMetrics } from './digest.metrics.js';
import { Scrubber } from './scrubber.js';
import { Verification, type VerificationDuties } from './verification.js';

export interface IntegrityParts {
  host: ReplicaHost;
  peers: PeerTable;
  client: PeerClient;
  duties: VerificationDuties;
  alerts: Alerts;
  metrics: Metrics;
  clock: Clock;
  logger: Logger;
}

/** Whether the node's state is the right one: before it counts as healthy, and ever after. */
export class Integrity {
  readonly verification: Verification;
  readonly scrubber: Scrubber;

  constructor(readonly parts: IntegrityParts) {
    const { host, peers, client, duties, alerts, metrics, clock, logger } = parts;
    const digestMetrics = new DigestMetrics(metrics);
    this.verification = new Verification({
      host,
      peers,
      client,
      duties,
      alerts,
      metrics: digestMetrics,
      clock,
      logger,
    });
    this.scrubber = new Scrubber(host, alerts, digestMetrics, clock, logger);
  }

  start(): void {
    this.verification.start();
    this.scrubber.start();
  }

  async stop(): Promise<void> {
    await this.verification.stop();
    await this.scrubber.stop();
  }
}
