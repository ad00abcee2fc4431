import { syncSettings } from '../../../apps/sync/src/sync.config.js';
import { SyncMetrics } from '../../../apps/sync/src/sync.metrics.js';
import { SyncService } from '../../../apps/sync/src/sync.service.js';
import { SyncStore } from '../../../apps/sync/src/sync.store.js';
import { SyncNodeClient } from '../../../apps/sync/src/sync-node-client.js';
import { asPrimaryPool, SimPool } from '../database/sim-pool.js';
import type { SimProcess } from '../world/process.js';
import type { Platform } from './platform.js';
import { noMetrics, traceLogger } from './silent.js';
import { asBus, SimBus } from './sim-bus.js';

/** The sync service: real. */
export function startSync(platform: Platform, process: SimProcess): void {
  const bus = asBus(new SimBus(process, platform.broker));
  const store = new SyncStore(asPrimaryPool(new SimPool(process, platform.network, platform.database)));
  const service = new SyncService({
    bus,
    store,
    calls: new SyncNodeClient('key'),
    metrics: new SyncMetrics(noMetrics),
    settings: syncSettings({ preset: 'local', clusterKey: 'key', syncChangesPerSecond: 5_000 }, process.name),
    clock: process.clock,
    logger: traceLogger(process),
  });
  bus.subscribe('node.heartbeat', (beat) => service.heartbeat(beat));
  bus.subscribe('node.deregistered', ({ nodeId }) => service.deregistered(nodeId));
  service.start(platform.nodeSeeds);
}
