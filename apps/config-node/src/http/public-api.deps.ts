import type { Clock } from '#libs/kernel';
import type { Logger, Metrics } from '#libs/observability';
import type { PublicGuard } from '#libs/service';
import type { Publisher } from '../commit/publisher.js';
import type { StorageReads } from '../history/storage-reads.js';
import type { StoredHistory } from '../history/stored-history.js';
import type { Leadership } from '../leadership/leadership.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { HeavyAnswers } from './heavy-answers.js';
import type { PastValues } from './reads/past-values.js';
import type { ReadGate } from './reads/read-gate.js';

/** What the public interface of a node stands on. */
export interface PublicApiDeps {
  host: ReplicaHost;
  leadership: Leadership;
  publisher: Publisher;
  store: StoredHistory;
  guard: PublicGuard;
  clusterKey: string;
  clock: Clock;
  metrics: Metrics;
  logger: Logger;
}

/** What reads go through: who may be answered here, from where, and how many at once. */
export interface ReadParts {
  gate: ReadGate;
  past: PastValues;
  heavy: HeavyAnswers;
  storage: StorageReads;
}
