import type { Rng } from '#libs/kernel';

/**
 * How often a node is asked. Probers spread over one interval and never march in step; a node whose state may be about
 * to change is asked faster, and is given less time to answer: so a hang is known within one interval and three short
 * time-outs. One that stays down is asked less often.
 */
export interface ProbePace {
  everyMs: number;
  fastEveryMs: number;
  downEveryMs: number;
  timeoutMs: number;
  fastTimeoutMs: number;
  /** Share of an interval by which it is lengthened or shortened, at random. */
  jitter: number;
  /** A node that asks for patience gets at most so much. */
  maxRetryAfterMs: number;
}

export interface NextProbe {
  /** From the start of the last one; it never begins before the last one has ended. */
  afterMs: number;
  timeoutMs: number;
}

export function nextProbe(
  phase: 'up' | 'down' | 'moving',
  pace: ProbePace,
  rng: Rng,
  retryAfterMs?: number,
): NextProbe {
  const everyMs = { up: pace.everyMs, moving: pace.fastEveryMs, down: pace.downEveryMs }[phase];
  const afterMs = everyMs * (1 + pace.jitter * (2 * rng.next() - 1));
  const patienceMs = Math.min(retryAfterMs ?? 0, pace.maxRetryAfterMs);
  const timeoutMs = phase === 'up' ? pace.timeoutMs : pace.fastTimeoutMs;
  return { afterMs: Math.max(afterMs, patienceMs), timeoutMs };
}
