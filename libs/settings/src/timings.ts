import type { SettingValue } from './settings.js';

/** Intervals and time-outs that belong together, all in milliseconds. */
export interface Timings {
  heartbeatEveryMs: number;
  heartbeatTimeoutMs: number;
  pingEveryMs: number;
  pingTimeoutMs: number;
  pingMisses: number;
  /** A witness whose own tick came later than this gives no verdict. */
  ownPauseMs: number;
  headEveryMs: number;
  headPollEveryMs: number;
  headPollWithoutBusMs: number;
  fenceConfirmEveryMs: number;
  cannotLeadAfterMs: number;
  /** `GET /health` of a node that is well. */
  probeEveryMs: number;
  /** Health evidence that is not renewed counts for this long: somebody else can take a node over within it. */
  evidenceLifeMs: number;
}

const LAN: Timings = {
  heartbeatEveryMs: 500,
  heartbeatTimeoutMs: 1_250,
  pingEveryMs: 250,
  pingTimeoutMs: 500,
  pingMisses: 3,
  ownPauseMs: 500,
  headEveryMs: 500,
  headPollEveryMs: 1_000,
  headPollWithoutBusMs: 500,
  fenceConfirmEveryMs: 1_000,
  cannotLeadAfterMs: 2_000,
  probeEveryMs: 1_000,
  evidenceLifeMs: 5_000,
};

/** WAN: mechanisms of the LAN at the pace of links with 100 ms and more (heartbeat 1 s, failed after 5 s). */
const PRESETS: Record<SettingValue<'preset'>, Timings> = {
  local: LAN,
  lan: LAN,
  wan: {
    ...LAN,
    heartbeatEveryMs: 1_000,
    heartbeatTimeoutMs: 5_000,
    pingEveryMs: 1_000,
    pingTimeoutMs: 800,
    pingMisses: 4,
    cannotLeadAfterMs: 5_000,
    probeEveryMs: 2_000,
    evidenceLifeMs: 10_000,
  },
};

export function timingsOf(preset: SettingValue<'preset'>): Timings {
  return PRESETS[preset];
}
