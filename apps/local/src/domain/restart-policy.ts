import { backoffCeilingMs, type Rng } from '#libs/kernel';

/** A crash is answered at once; a process that crashes again and again is given longer and longer rests. */
const BACKOFF = { baseMs: 200, capMs: 10_000 };
/** Having run this long, a process counts as well again. */
const STABLE_AFTER_MS = 30_000;

export interface RestartDecision {
  /** Ends in a row of which none came after a stable run, this one included. */
  failures: number;
  delayMs: number;
}

/** When to start a process again that ended after `uptimeMs`: half of the wait is jitter, so that crashes don't march in step. */
export function decideRestart(previousFailures: number, uptimeMs: number, rng: Rng): RestartDecision {
  const before = uptimeMs >= STABLE_AFTER_MS ? 0 : previousFailures;
  const ceiling = backoffCeilingMs(BACKOFF, before);
  return { failures: before + 1, delayMs: Math.round(ceiling / 2 + (rng.next() * ceiling) / 2) };
}
