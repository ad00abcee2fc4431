import { expect, it } from 'vitest';
import { runSim, searchSeeds, withSimulation } from './run-sim.js';

const SEEDS = 200;
/** Of each run the last 45 s are free of faults. */
const MINUTES = 2.5;

it('replays a seed event for event', async () => {
  const [first, again, other] = await withSimulation([], async (file) => [
    await runSim(file, ['--seed', '4', '--minutes', '3']),
    await runSim(file, ['--seed', '4', '--minutes', '3']),
    await runSim(file, ['--seed', '5', '--minutes', '3']),
  ]);
  expect(first).toMatch(/trace [0-9a-f]{16}, \d{5,} events/);
  expect(again).toBe(first);
  expect(other).not.toBe(first);
});

it(`breaks no rule in ${SEEDS} seeds`, async () => {
  const found = await withSimulation([], (file) => searchSeeds(file, SEEDS, MINUTES));
  const { runs, faults, commits, acknowledged, reads, terms, losses, simulatedMs, tookMs } = found;
  console.log(
    `simulation: ${runs} runs, ${Math.round(simulatedMs / 60_000)} simulated minutes in ${Math.round(tookMs / 1_000)} s, ` +
      `${faults} faults, ${terms} terms, ${commits} changes, ${reads} reads, ${losses} losses of the database`,
  );
  expect(found.failed).toEqual([]);
  // Runs in which nothing happens prove nothing.
  expect(faults).toBeGreaterThan(SEEDS * 3);
  expect(acknowledged).toBeGreaterThan(SEEDS * 50);
  expect(reads).toBeGreaterThan(SEEDS * 50);
  expect(terms).toBeGreaterThan(SEEDS * 1.5);
});
