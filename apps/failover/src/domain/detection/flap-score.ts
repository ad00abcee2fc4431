/**
 * How unsteady a node has been: route flap damping as BGP does it (RFC 2439). Every failure adds to the score, which
 * halves with every half-life, little when the node had been well for a while: what dies again at once is unsteady,
 * what dies now and then is brought back. At `suppressAt` the node is kept out, and taken back when its score has fallen to
 * `reuseAt`. The score is bounded, so that no quarantine outlasts `maxQuarantineMs`.
 */
export interface FlapSettings {
  /** For a failure before the node was well for longer than `steadyMs`; one after that is charged a tenth. */
  perFlap: number;
  steadyMs: number;
  halfLifeMs: number;
  /** 0 = nobody is ever quarantined. */
  suppressAt: number;
  reuseAt: number;
  maxQuarantineMs: number;
}

export interface FlapScore {
  value: number;
  atMs: number;
}

export const NO_FLAPS: FlapScore = { value: 0, atMs: 0 };

export function scoreAt(score: FlapScore, nowMs: number, { halfLifeMs }: FlapSettings): number {
  return score.value * 2 ** (-Math.max(0, nowMs - score.atMs) / halfLifeMs);
}

/** `wellForMs` = how long the node had been well before it failed; infinite when it was never seen failing. */
export function charge(
  score: FlapScore,
  nowMs: number,
  wellForMs: number,
  settings: FlapSettings,
): FlapScore {
  const { perFlap, steadyMs, reuseAt, maxQuarantineMs, halfLifeMs } = settings;
  const ceiling = Math.max(perFlap, reuseAt * 2 ** (maxQuarantineMs / halfLifeMs));
  const penalty = wellForMs > steadyMs ? perFlap / 10 : perFlap;
  return { value: Math.min(ceiling, scoreAt(score, nowMs, settings) + penalty), atMs: nowMs };
}

/** How long until a score has fallen to where the node is used again. */
export function reuseAfterMs(value: number, { reuseAt, halfLifeMs }: FlapSettings): number {
  return value <= reuseAt ? 0 : halfLifeMs * Math.log2(value / reuseAt);
}

/** Under half of the reuse limit what was before counts no more: the next quarantine is a first one. */
export function isForgotten(score: FlapScore, nowMs: number, settings: FlapSettings): boolean {
  return scoreAt(score, nowMs, settings) < settings.reuseAt / 2;
}

/** The n-th quarantine in a row lasts n times as long as the score alone would have it. */
export function quarantineMs(score: FlapScore, quarantines: number, settings: FlapSettings): number {
  const longest = settings.maxQuarantineMs;
  return Math.min(longest, Math.ceil(reuseAfterMs(score.value, settings) * Math.max(1, quarantines)));
}
