import { loadControlSettings } from '#libs/control-service';
import { DIGEST_FORMAT } from '#libs/replica';
import { type SettingsInput } from '#libs/settings';
import type { RoundSettings } from './domain/comparison/round.js';
import type { RepairLimits } from './domain/repair-plan.js';

const OWN_SETTINGS = ['nodes', 'consistencyRepair', 'truthIntervalMs', 'maxInconsistencies'] as const;

export interface ConsistencySettings {
  instanceId: string;
  clusterKey: string;
  round: RoundSettings;
  limits: RepairLimits;
  /** Whether the regular rounds set right what they find. */
  repairs: boolean;
  roundEveryMs: number;
  /** Between comparisons with the state in the database; more, where one takes long. */
  truthEveryMs: number;
  /** How long a node may take to reach the pinned version, and to answer beyond that. */
  waitMs: number;
  answerMs: number;
  keysMs: number;
  repairMs: number;
  resyncMs: number;
  repairsPerSecond: number;
  repairsPerRound: number;
  unknownAlertMs: number;
  /** An instance whose row is older than this does not count. */
  instanceLifeMs: number;
  registryEveryMs: number;
  findingsEveryMs: number;
  outboxEveryMs: number;
  pruneEveryMs: number;
}

/** Without an input: of this process. */
export function loadConsistencySettings(input?: SettingsInput) {
  return loadControlSettings('consistency', OWN_SETTINGS, input);
}

export function consistencySettings(
  loaded: ReturnType<typeof loadConsistencySettings>,
  instanceId: string,
): ConsistencySettings {
  const roundEveryMs = 5_000;
  return {
    instanceId,
    clusterKey: loaded.clusterKey,
    round: { format: DIGEST_FORMAT, maxBuckets: loaded.maxInconsistencies + 1 },
    limits: {
      maxInconsistencies: loaded.maxInconsistencies,
      maxShare: 0.01,
      minInconsistencies: Math.min(10, loaded.maxInconsistencies),
      resyncRestMs: 300_000,
    },
    repairs: loaded.consistencyRepair === '1',
    roundEveryMs,
    truthEveryMs: loaded.truthIntervalMs,
    waitMs: 500,
    answerMs: 1_000,
    keysMs: 3_000,
    repairMs: 5_000,
    resyncMs: 60_000,
    repairsPerSecond: 20,
    repairsPerRound: 100,
    unknownAlertMs: 300_000,
    instanceLifeMs: 3 * roundEveryMs,
    registryEveryMs: 5_000,
    findingsEveryMs: 2_000,
    outboxEveryMs: 2_000,
    pruneEveryMs: 600_000,
  };
}
