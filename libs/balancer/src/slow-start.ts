import { FULL_RAMP } from './upstream.js';

const LEAST = 0.1;

/**
 * The part of its share that a node gets while it starts slowly: `max(0.1, (max(t, 1 s) / window)^(1 / aggression))`,
 * 1 from the end of the window on (Envoy, slow start mode). Linear with aggression 1.
 */
export function slowStartFactor(sinceMs: number, windowMs: number, aggression = 1): number {
  if (sinceMs >= windowMs) return 1;
  const part = (Math.max(sinceMs, 1_000) / windowMs) ** (1 / aggression);
  return Math.min(1, Math.max(LEAST, part));
}

/**
 * Ramps of nodes that have been usable for so long, in thousandths. Only their ratios matter, so that the one that
 * is furthest gets all of its share: when all nodes are new, as at the start, nobody is held back.
 */
export function rampsOf(usableForMs: readonly number[], windowMs: number): number[] {
  const factors = usableForMs.map((sinceMs) => slowStartFactor(sinceMs, windowMs));
  const most = Math.max(...factors);
  return factors.map((factor) => Math.max(1, Math.round((factor / most) * FULL_RAMP)));
}
