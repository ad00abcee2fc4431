import type { Rng } from './rng.js';

export interface BackoffPolicy {
  baseMs: number;
  capMs: number;
}

/** The longest wait before retry `attempt` (0 = the first retry): `min(cap, base * 2^attempt)`. */
export function backoffCeilingMs(policy: BackoffPolicy, attempt: number): number {
  return Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt, 52));
}

/** "Full jitter" of the AWS architecture blog: uniform in [0, ceiling), so that retries don't march in step. */
export function fullJitterMs(policy: BackoffPolicy, attempt: number, rng: Rng): number {
  return rng.next() * backoffCeilingMs(policy, attempt);
}
