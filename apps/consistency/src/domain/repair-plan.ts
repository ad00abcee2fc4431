import type { Difference } from '#libs/contracts';
import { DIGEST_BUCKETS } from '#libs/replica';
import { nameOf } from './comparison/pin.js';
import type { NodeOutcome } from './comparison/round.js';

export interface RepairLimits {
  /** More wrong keys than this, or this share of all keys, are no single faults: the state is replaced. */
  maxInconsistencies: number;
  maxShare: number;
  /** The share says nothing of a state so small that a single fault is above it. */
  minInconsistencies: number;
  /** A state that was replaced and is wrong again is not replaced over and over. */
  resyncRestMs: number;
}

/** What was done to the node lately. */
export interface RepairHistory {
  /** Names of keys that were repaired there within the last hour. */
  repaired: ReadonlySet<string>;
  resyncedAgoMs: number | null;
}

/**
 * `too-many`: above the limit. `again`: a key that was set right within the hour is wrong again, so that something keeps
 * breaking it. `resting`: it would be replaced, and was a moment ago.
 */
export type RepairPlan =
  | { type: 'nothing' }
  | { type: 'keys'; differences: readonly Difference[] }
  | { type: 'resync'; why: 'too-many' | 'again' }
  | { type: 'resting'; why: 'too-many' | 'again' };

/** The direction is always from the truth to the node. */
export function planRepair(found: NodeOutcome, history: RepairHistory, limits: RepairLimits): RepairPlan {
  if (found.result !== 'mismatch') return { type: 'nothing' };
  const why = whyResync(found, history, limits);
  if (why === undefined) return { type: 'keys', differences: found.differences };
  const rests = history.resyncedAgoMs !== null && history.resyncedAgoMs < limits.resyncRestMs;
  return { type: rests ? 'resting' : 'resync', why };
}

function whyResync(
  { differences, more, keys }: NodeOutcome,
  { repaired }: RepairHistory,
  limits: RepairLimits,
): 'too-many' | 'again' | undefined {
  const { maxInconsistencies, maxShare, minInconsistencies } = limits;
  const guess = keys.buckets === 0 ? 0 : (keys.listed / keys.buckets) * DIGEST_BUCKETS;
  const bound = Math.min(maxInconsistencies, Math.max(minInconsistencies, guess * maxShare));
  if (differences.length + more > bound) return 'too-many';
  return differences.some((difference) => repaired.has(nameOf(difference))) ? 'again' : undefined;
}

/** In pieces, so that no more than `most` keys are set right at a time. */
export function inPieces<T>(all: readonly T[], most: number): T[][] {
  const pieces: T[][] = [];
  for (let from = 0; from < all.length; from += most) pieces.push(all.slice(from, from + most));
  return pieces;
}
