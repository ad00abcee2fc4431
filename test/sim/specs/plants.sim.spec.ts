import { describe, expect, it } from 'vitest';
import { PLANTS } from '../plants.mjs';
import { searchSeeds, withSimulation } from './run-sim.js';

const SEEDS = 1_000;
const MINUTES = 5;

describe('the simulation finds', () => {
  it.each(PLANTS)('$name', async ({ name, firstSeed = 1, edits }) => {
    const search = (file: string) => searchSeeds(file, SEEDS, MINUTES, firstSeed);
    const { runs, failed } = await withSimulation(edits, search);
    const [first] = failed;
    console.log(`${name}: ${first === undefined ? 'not found' : first.broken} (${runs} runs)`);
    expect(first).toBeDefined();
  });
});
