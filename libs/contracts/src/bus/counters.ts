import { z } from 'zod';

/**
 * Bounds of the numbers that order what processes tell each other. Every such number is compared and then counted on
 * from, so that one absurd value would end the count for ever. Three rules keep "one more" possible:
 *
 * 1. No number from outside is greater than `COUNTER_MAX`.
 * 2. A receiver that knows a counter takes the next value only within `COUNTER_STEP_MAX` of it (`isFarAhead`).
 * 3. What has an authority is measured by it: a term by `config.head` (`isPlausibleTerm`), an incarnation by the
 *    receiver's own wall clock (`isPlausibleIncarnation`).
 */
export const COUNTER_MAX = 2 ** 48;
export const COUNTER_STEP_MAX = 1_000_000;
/** How far beyond the term of `config.head` a term is believed; `config.claim` refuses what is further ahead. */
export const TERM_AHEAD_MAX = 1_000;
export const INCARNATION_AHEAD_MAX_MS = 24 * 3_600_000;

export const Counter = z.number().int().nonnegative().max(COUNTER_MAX);

/** Whether `next` cannot follow `known`. Zero or less: nothing is known yet, and any value begins the count. */
export function isFarAhead(known: number, next: number): boolean {
  return known > 0 && next - known > COUNTER_STEP_MAX;
}

export function isPlausibleTerm(term: number, headTerm: number): boolean {
  return term <= headTerm + TERM_AHEAD_MAX;
}

/** An incarnation is the wall clock of a process at its start, in ms, or one more than its last one. */
export function isPlausibleIncarnation(incarnation: number, wallMs: number): boolean {
  return incarnation <= wallMs + INCARNATION_AHEAD_MAX_MS;
}
