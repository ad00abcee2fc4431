import { expect, it } from 'vitest';
import type { Fault } from '../faults/plan.js';
import { runSim, withSimulation } from './run-sim.js';

/*
 * How configurations were lost or stale in other systems, as scenarios: the rules of the simulation are what must not
 * break. Those that are cheap on real servers are in test/integration/engine/bugs-of-others.int.spec.ts.
 */
const SEEDS = [1, 2, 3];
const MINUTES = 3;

// Nacos told its nodes once; one that was busy at that moment missed it, and stood still until the dump of everything
// some six hours later. Here every notification is lost, for a minute and a half: nodes that were not level within
// seconds, and said that they are well, would break a rule.
it('nacos#12557: notifications are lost', async () => {
  await expectNothingWrong([
    { id: 1, kind: 'bus-faults', atMs: 10_000, forMs: 90_000, lost: 1, doubled: 0, late: 0 },
  ]);
});

// Nacos took the later time for the newer change. Here the clocks of all nodes jump by up to an hour, to and fro.
it('nacos#12879, nacos#12464: clocks that jump', async () => {
  const jumps = Array.from({ length: 36 }, (_, i): Fault => {
    const byMs = (i % 2 === 0 ? 1 : -1) * (600_000 + 80_000 * i);
    return { id: i + 1, kind: 'clock', who: `n${1 + (i % 2)}`, atMs: 5_000 + 2_500 * i, forMs: 0, byMs };
  });
  await expectNothingWrong(jumps);
});

async function expectNothingWrong(faults: readonly Fault[]): Promise<void> {
  await withSimulation([], async (file) => {
    for (const seed of SEEDS) {
      const args = ['--seed', String(seed), '--minutes', String(MINUTES), '--faults', JSON.stringify(faults)];
      expect(await runSim(file, [...args, '--no-shrink'])).toContain(`seed ${seed}: nothing wrong`);
    }
  });
}
