import type { LagState } from '#libs/contracts';

/** Behind the head by so many versions, the first of which it has been missing for so long. */
export interface Lag {
  versions: number;
  ms: number;
}

export interface LagLimits {
  /** The broadcast is on its way: a node that is behind for less than this is level. */
  behindAfterMs: number;
  /** Either of these makes a node lagging ... */
  enter: Lag;
  /** ... and it stays that until it is below both of these: in between nothing changes. */
  leave: Lag;
}

export function lagStateAfter(state: LagState, lag: Lag, limits: LagLimits): LagState {
  const { behindAfterMs, enter, leave } = limits;
  const isBehind = lag.versions > 0 && lag.ms >= behindAfterMs;
  if (isBehind && (lag.versions >= enter.versions || lag.ms >= enter.ms)) return 'lagging';
  const hasLeft = lag.versions <= leave.versions && lag.ms <= leave.ms;
  if (state === 'lagging' && !hasLeft) return 'lagging';
  return isBehind ? 'behind' : 'level';
}
