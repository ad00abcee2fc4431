import { loadSettings, type SettingsInput, type Timings, timingsOf } from '#libs/config';
import type { DetectorSettings } from './domain/detector.types.js';

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
}

/** Without an input: of this process. */
export function loadFailoverSettings(input?: SettingsInput) {
  return loadSettings(NAMES, { port: 7500, postgresUser: 'holdfast_failover' }, input);
}

export function failoverSettings(
  preset: Parameters<typeof timingsOf>[0],
  identity: { instanceId: string; clusterKey: string },
): FailoverSettings {
  const timings = timingsOf(preset);
  return {
    ...identity,
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
  };
}
