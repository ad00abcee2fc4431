import { loadControlSettings } from '#libs/control-service';
import { REDIS_SETTINGS, type SettingsInput, timingsOf } from '#libs/settings';

const OWN_SETTINGS = [...REDIS_SETTINGS, 'preset'] as const;

export interface RegistrySettings {
  heartbeatEveryMs: number;
  heartbeatTimeoutMs: number;
  ownPauseMs: number;
  steadyMs: number;
  maxMembers: number;
  evidenceLifeMs: number;
  /** Holds and health evidence are asked for so often, should a fact have been missed. */
  askEveryMs: number;
  tickEveryMs: number;
  flushEveryMs: number;
  refreshEveryMs: number;
  retryEveryMs: number;
  /** How long the first questions after the start wait for the stores. */
  firstLookMs: number;
  pruneEveryMs: number;
  cacheTtlMs: number;
  outboxEveryMs: number;
}

/** Without an input: of this process. */
export function loadRegistrySettings(input?: SettingsInput) {
  return loadControlSettings('registry', OWN_SETTINGS, input);
}

export function registrySettings(preset: Parameters<typeof timingsOf>[0]): RegistrySettings {
  const { heartbeatEveryMs, heartbeatTimeoutMs, ownPauseMs, evidenceLifeMs } = timingsOf(preset);
  return {
    heartbeatEveryMs,
    heartbeatTimeoutMs,
    ownPauseMs,
    steadyMs: 6 * heartbeatEveryMs,
    maxMembers: 10_000,
    evidenceLifeMs,
    askEveryMs: 10_000,
    tickEveryMs: 100,
    flushEveryMs: 1_000,
    refreshEveryMs: 5_000,
    retryEveryMs: 500,
    firstLookMs: 700,
    pruneEveryMs: 600_000,
    outboxEveryMs: 2_000,
    // Renewed once a second; outlives well over three missed heartbeats.
    cacheTtlMs: Math.max(5_000, 6 * heartbeatEveryMs),
  };
}
