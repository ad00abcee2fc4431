import { loadSettings, type SettingsInput, timingsOf } from '#libs/config';
import { fullJitterMs, systemRng } from '#libs/kernel';
import type { LagSettings } from './domain/lag-tracker.js';

const NAMES = [
  'instanceId',
  'port',
  'bind',
  'postgresHosts',
  'postgresDatabase',
  'postgresUser',
  'postgresPassword',
  'natsServers',
  'natsUser',
  'natsPassword',
  'clusterKey',
  'nodes',
  'preset',
  'logLevel',
  'publicHosts',
  'corsOrigins',
] as const;

export interface SyncSettings {
  clusterKey: string;
  lag: LagSettings;
  stepEveryMs: number;
  headEveryMs: number;
  headWithoutBusMs: number;
  /** Nodes are asked where they stand when the bus does not tell. */
  pingEveryMs: number;
  pingTimeoutMs: number;
  registryEveryMs: number;
  batchChanges: number;
  batchBytes: number;
  pushTimeoutMs: number;
  recordEveryMs: number;
}

const PUSH_BACKOFF = { baseMs: 500, capMs: 10_000 };

/** Without an input: of this process. */
export function loadSyncSettings(input?: SettingsInput) {
  return loadSettings(NAMES, { port: 7500, postgresUser: 'holdfast_sync' }, input);
}

export function syncSettings(preset: Parameters<typeof timingsOf>[0], clusterKey: string): SyncSettings {
  const { headPollEveryMs, headPollWithoutBusMs, pingTimeoutMs } = timingsOf(preset);
  return {
    clusterKey,
    lag: {
      pushAfterMs: 1_000,
      lagging: { afterMs: 5_000, everyMs: 5_000 },
      maxPushVersions: 50_000,
      // At least half of the ceiling: a node that was just left alone is not asked again at once.
      backoff: (failures) => PUSH_BACKOFF.baseMs / 2 + fullJitterMs(PUSH_BACKOFF, failures, systemRng),
    },
    stepEveryMs: 200,
    headEveryMs: headPollEveryMs,
    headWithoutBusMs: headPollWithoutBusMs,
    pingEveryMs: 1_000,
    pingTimeoutMs,
    registryEveryMs: 5_000,
    batchChanges: 500,
    batchBytes: 4 * 1024 * 1024,
    pushTimeoutMs: 10_000,
    recordEveryMs: 5_000,
  };
}
