import type { Fault } from '../faults/plan.js';
import { type RunResult, simulate } from './simulation.js';

/** Runs that shrinking may cost. */
const MAX_RUNS = 200;

/**
 * Makes the list of faults of a failing run as short as it goes while the run breaks the same rule ("delta
 * debugging", Zeller: parts are left out, first large ones, then smaller); then each fault as brief as it goes.
 */
export function shrink(failing: RunResult, simulatedMs: number, onStep: (faults: number) => void): RunResult {
  const rule = failing.violation?.rule;
  let runs = 0;
  let best = failing;
  let faults: Fault[] = failing.planned.filter((fault) => fault.atMs <= failing.endedAtMs);
  const tryFaults = (candidate: Fault[]): boolean => {
    if (runs++ >= MAX_RUNS) return false;
    const result = simulate({ seed: failing.seed, simulatedMs, faults: candidate });
    if (result.violation?.rule !== rule) return false;
    faults = candidate;
    best = result;
    onStep(candidate.length);
    return true;
  };
  for (let size = Math.ceil(faults.length / 2); size >= 1; ) {
    let less = false;
    for (let from = 0; from < faults.length; ) {
      if (tryFaults([...faults.slice(0, from), ...faults.slice(from + size)])) less = true;
      else from += size;
    }
    if (size === 1 && !less) break;
    size = less ? size : Math.floor(size / 2);
    if (runs >= MAX_RUNS) break;
  }
  for (let i = 0; i < faults.length; i++) {
    for (let again = true; again && runs < MAX_RUNS; ) {
      const brief = faults.map((fault, at) =>
        at === i ? { ...fault, forMs: Math.floor(fault.forMs / 2) } : fault,
      );
      again = (faults[i]?.forMs ?? 0) > 50 && tryFaults(brief);
    }
  }
  return best;
}
