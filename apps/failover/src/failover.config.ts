import { loadControlSettings } from '#libs/control-service';
import { SettingsError, type SettingsInput, type Timings, timingsOf } from '#libs/settings';
import type { DetectorSettings } from './domain/detection/detector.types.js';
import type { RecoverySettings } from './domain/recovery/recovery.types.js';

const OWN_SETTINGS = [
  'recoveryDriver',
  'recoveryMaxRetries',
  'recoveryRetryIntervalMs',
  'recoverySelfRestartMs',
  'recoveryVerifyMs',
  'recoveryTimeoutMs',
  'flapSuppress',
  'flapHalfLifeMs',
  'supervisorAddress',
  'dockerSocket',
  'kubernetesApi',
  'kubernetesNamespace',
  'kubernetesCredentials',
  'nodes',
  'preset',
] as const;

export interface FailoverSettings {
  instanceId: string;
  clusterKey: string;
  timings: Timings;
  detector: DetectorSettings;
  renewEveryMs: number;
  /** How long other witnesses are waited for. */
  confirmCrashMs: number;
  confirmSilenceMs: number;
  /** … and by way of rows, where they look less often. */
  confirmByRowsMs: number;
  rowsEveryMs: { withBus: number; withoutBus: number };
  loneVerdictEveryMs: number;
  pollByBusMs: number;
  pollByHttpMs: number;
  /** After the first candidate that will do: how long for better ones. */
  pollGraceMs: number;
  firstPollGraceMs: number;
  retryElectionMs: number;
  registryEveryMs: number;
  outboxEveryMs: number;
  recoveryEveryMs: number;
  recovery: RecoverySettings;
}

export type LoadedFailoverSettings = ReturnType<typeof loadFailoverSettings>;

/** Without an input: of this process. */
export function loadFailoverSettings(input?: SettingsInput) {
  const settings = loadControlSettings('failover', OWN_SETTINGS, input);
  if (settings.recoveryDriver === 'local' && settings.supervisorAddress === undefined) {
    throw new SettingsError(['HOLDFAST_SUPERVISOR_ADDRESS: the recovery driver `local` needs it']);
  }
  return settings;
}

export function failoverSettings(loaded: LoadedFailoverSettings, instanceId: string): FailoverSettings {
  const timings = timingsOf(loaded.preset);
  return {
    instanceId,
    clusterKey: loaded.clusterKey,
    timings,
    detector: {
      heartbeatTimeoutMs: timings.heartbeatTimeoutMs,
      pingMisses: timings.pingMisses,
      pingTimeoutMs: timings.pingTimeoutMs,
      steadyPings: 4,
      cannotLeadAfterMs: timings.cannotLeadAfterMs,
      ownPauseMs: timings.ownPauseMs,
      refusalsApartMs: 20,
      tickEveryMs: 50,
      freshRoundMs: timings.pingEveryMs + timings.pingTimeoutMs,
      clearAfterPings: 2,
      askAgainMs: 250,
      slowWriteMs: 250,
    },
    renewEveryMs: 700,
    confirmCrashMs: 50,
    confirmSilenceMs: 200,
    confirmByRowsMs: 1_200,
    rowsEveryMs: { withBus: 700, withoutBus: 200 },
    loneVerdictEveryMs: 10_000,
    pollByBusMs: 100,
    pollByHttpMs: 500,
    pollGraceMs: 40,
    firstPollGraceMs: 300,
    retryElectionMs: 100,
    registryEveryMs: 2_000,
    outboxEveryMs: 2_000,
    recoveryEveryMs: 500,
    recovery: recoverySettings(loaded, instanceId),
  };
}

/** Retries wait as crash loops do in Kubernetes (10 s doubling to 300 s); flaps count as in BGP. */
function recoverySettings(loaded: LoadedFailoverSettings, instanceId: string): RecoverySettings {
  const { recoveryRetryIntervalMs: baseMs, flapHalfLifeMs: halfLifeMs } = loaded;
  return {
    instanceId,
    hasDriver: loaded.recoveryDriver !== 'none',
    maxRetries: loaded.recoveryMaxRetries,
    backoff: { baseMs, capMs: baseMs * 30 },
    selfRestartMs: loaded.recoverySelfRestartMs,
    restartMs: 20_000,
    verifyMs: loaded.recoveryVerifyMs,
    timeoutMs: loaded.recoveryTimeoutMs,
    healthPasses: 3,
    flaps: {
      perFlap: 1_000,
      steadyMs: 4_000,
      halfLifeMs,
      suppressAt: loaded.flapSuppress,
      reuseAt: 750,
      maxQuarantineMs: 4 * halfLifeMs,
    },
  };
}
