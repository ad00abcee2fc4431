import { loadControlSettings } from '#libs/control-service';
import { fullJitterMs, systemRng } from '#libs/kernel';
import { type SettingsInput, timingsOf } from '#libs/settings';
import type { PlannerSettings } from './domain/sync-planner.js';

const OWN_SETTINGS = ['nodes', 'preset', 'syncChangesPerSecond'] as const;

export interface SyncSettings {
  instanceId: string;
  clusterKey: string;
  planner: PlannerSettings;
  stepEveryMs: number;
  headEveryMs: number;
  headWithoutBusMs: number;
  /** Nodes are asked where they stand when the bus does not tell. */
  pingEveryMs: number;
  pingTimeoutMs: number;
  registryEveryMs: number;
  /** Bound on what all pushes bring together: the leader's writes and these share the database. */
  changesPerSecond: number;
  batchBytes: number;
  pushTimeoutMs: number;
  askTimeoutMs: number;
  loadTimeoutMs: number;
  renewEveryMs: number;
  /** An instance whose row is older than this does not count. */
  instanceLifeMs: number;
  sizesEveryMs: number;
  recordEveryMs: number;
}

/** A node takes no more changes than this in one body. */
const NODE_TAKES = 1_000;
/** A bounded rate comes in batches of so long, not in bursts that others would have to wait for. */
const PACED_BATCH_MS = 20;
const PUSH_BACKOFF = { baseMs: 500, capMs: 10_000 };

/** Without an input: of this process. */
export function loadSyncSettings(input?: SettingsInput) {
  return loadControlSettings('sync', OWN_SETTINGS, input);
}

export function syncSettings(
  loaded: Pick<ReturnType<typeof loadSyncSettings>, 'preset' | 'clusterKey' | 'syncChangesPerSecond'>,
  instanceId: string,
): SyncSettings {
  const { headPollEveryMs, headPollWithoutBusMs, pingTimeoutMs } = timingsOf(loaded.preset);
  const renewEveryMs = 2_000;
  return {
    instanceId,
    clusterKey: loaded.clusterKey,
    planner: plannerSettings(loaded.syncChangesPerSecond),
    stepEveryMs: 200,
    headEveryMs: headPollEveryMs,
    headWithoutBusMs: headPollWithoutBusMs,
    pingEveryMs: 1_000,
    pingTimeoutMs,
    registryEveryMs: 5_000,
    changesPerSecond: loaded.syncChangesPerSecond,
    batchBytes: 4 * 1024 * 1024,
    pushTimeoutMs: 10_000,
    askTimeoutMs: 2_000,
    loadTimeoutMs: 120_000,
    renewEveryMs,
    instanceLifeMs: 3 * renewEveryMs,
    sizesEveryMs: 10_000,
    recordEveryMs: 2_000,
  };
}

function plannerSettings(changesPerSecond: number): PlannerSettings {
  const most = Math.max(1, Math.min(NODE_TAKES, Math.floor((changesPerSecond * PACED_BATCH_MS) / 1_000)));
  return {
    lag: {
      behindAfterMs: 1_000,
      enter: { versions: 50_000, ms: 5_000 },
      leave: { versions: 1_000, ms: 1_000 },
    },
    tellEveryMs: 5_000,
    batch: { first: Math.min(250, most), most, growBy: 50 },
    maxTasks: 4,
    maxLoads: 1,
    batchesInARow: 100,
    healEveryMs: 5_000,
    loadRestMs: 30_000,
    way: { alwaysLog: 20_000, favour: 2, stateMs: 500 },
    rates: {
      changesPerSecond: Math.min(20_000, changesPerSecond),
      keysPerSecond: 40_000,
      bytesPerSecond: 50 * 1024 * 1024,
    },
    // At least half of the ceiling: a node that was just left alone is not asked again at once.
    backoffMs: (failures) => PUSH_BACKOFF.baseMs / 2 + fullJitterMs(PUSH_BACKOFF, failures, systemRng),
  };
}
