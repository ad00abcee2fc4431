import type { CheckedState, Consecutive } from '#libs/contracts';

/**
 * HAProxy's single counter (src/check.c): it runs from 0 to rise + fall - 1, and a node is up from `rise` on. A failure
 * takes one away and, below `rise`, everything; a pass adds one and, from `rise` on, fills it. So both thresholds count
 * consecutive results: one that fails every other time stays where it is.
 *
 * What HAProxy assumes at its start is not assumed here: a node is neither up nor down until `rise` passes or `fall`
 * failures in a row have been seen.
 */
export interface ProbeCount {
  state: CheckedState;
  /** 0 to rise + fall - 1. */
  counter: number;
  consecutive: Consecutive;
}

export interface Thresholds {
  rise: number;
  fall: number;
}

export const NOTHING_COUNTED: ProbeCount = {
  state: 'unknown',
  counter: 0,
  consecutive: { outcome: 'none', count: 0 },
};

export function count(before: ProbeCount, outcome: 'pass' | 'fail', thresholds: Thresholds): ProbeCount {
  const { rise, fall } = thresholds;
  const same = before.consecutive.outcome === outcome;
  const consecutive = { outcome, count: same ? before.consecutive.count + 1 : 1 };
  const moved = before.counter + (outcome === 'pass' ? 1 : -1);
  if (moved >= rise) {
    return { state: 'up', counter: outcome === 'pass' ? rise + fall - 1 : moved, consecutive };
  }
  const counter = outcome === 'pass' ? moved : 0;
  const undecided = before.state === 'unknown' && (outcome === 'pass' || consecutive.count < fall);
  return { state: undecided ? 'unknown' : 'down', counter, consecutive };
}

/** Whether the next results may change the state: then they are worth having soon. */
export function phaseOf(
  { state, counter }: ProbeCount,
  { rise, fall }: Thresholds,
): 'up' | 'down' | 'moving' {
  if (state === 'up' && counter === rise + fall - 1) return 'up';
  return state === 'down' && counter === 0 ? 'down' : 'moving';
}
