import { describe, expect, it } from 'vitest';
import { PLANTS } from '../plants.mjs';
import { searchSeeds, withSimulation } from './run-sim.js';

const SEEDS = 1_000;
const MINUTES = 5;

describe('the simulation finds', () => {
  it.each(PLANTS)('$name', async ({ name, edits }) => {
    const { runs, failed } = await withSimulation(edits, (file) => searchSeeds(file, SEEDS, MINUTES));
    const [first] = failed;
    console.log(`${name}: ${first === undefined ? 'not found' : first.broken} (${runs} runs)`);
    expect(first).toBeDefined();
  });
});
