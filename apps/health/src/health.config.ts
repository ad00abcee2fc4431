import { loadControlSettings } from '#libs/control-service';
import { type SettingsInput, timingsOf } from '#libs/settings';
import type { CheckSettings } from './domain/node-check.js';
import type { ProbePace } from './domain/probe-pace.js';

const OWN_SETTINGS = ['nodes', 'preset'] as const;

export interface HealthSettings {
  instanceId: string;
  pace: ProbePace;
  check: CheckSettings;
  /** A time-out that was noticed later than this is a stall of our own, and says nothing of the node. */
  ownPauseMs: number;
  tickEveryMs: number;
  /** Sign of life; an instance that gives none for `lifeMs` is taken for dead. */
  standingEveryMs: number;
  lifeMs: number;
  rowsEveryMs: { withBus: number; withoutBus: number };
  rowLifeMs: number;
  /** Evidence against a node counts for so long after it was last said. */
  evidenceLifeMs: number;
  registryEveryMs: number;
  flushEveryMs: number;
  pruneEveryMs: number;
  outboxEveryMs: number;
  retryEveryMs: number;
  /** How long the instance that probes a node is waited for when another is asked of it. */
  forwardMs: number;
}

/** Without an input: of this process. */
export function loadHealthSettings(input?: SettingsInput) {
  return loadControlSettings('health', OWN_SETTINGS, input);
}

export function healthSettings(preset: Parameters<typeof timingsOf>[0], instanceId: string): HealthSettings {
  const { probeEveryMs: everyMs, ownPauseMs, evidenceLifeMs } = timingsOf(preset);
  return {
    instanceId,
    pace: {
      everyMs,
      fastEveryMs: everyMs / 4,
      downEveryMs: 2 * everyMs,
      timeoutMs: 800,
      // A hang is to be known within 3 s: what is left of an interval, 800 ms, and twice this.
      fastTimeoutMs: preset === 'wan' ? 800 : 500,
      jitter: 0.1,
      maxRetryAfterMs: 10_000,
    },
    check: { observer: instanceId, rise: 2, fall: 3, recentKept: 30, transitionsKept: 20 },
    ownPauseMs,
    tickEveryMs: 200,
    standingEveryMs: everyMs / 4,
    // A node is probed by somebody else at the latest two intervals after its prober has died; most of the second one
    // is left for a machine that is busy. One that is taken for dead too soon only does work twice.
    lifeMs: 0.9 * everyMs,
    rowsEveryMs: { withBus: 2 * everyMs, withoutBus: everyMs / 2 },
    rowLifeMs: 1.25 * everyMs,
    evidenceLifeMs,
    registryEveryMs: 5_000,
    flushEveryMs: 5_000,
    pruneEveryMs: 600_000,
    outboxEveryMs: 2_000,
    retryEveryMs: 1_000,
    forwardMs: 150,
  };
}
