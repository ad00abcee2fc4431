import { describe, expect, it } from 'vitest';
import { PLANTS } from '../test/sim/plants.mjs';
import { withSimulation } from '../test/sim/specs/run-sim.js';

const bundled = async () => 'bundled';

/** Stand-ins are bound by name and planted bugs by their source: a rename that misses one is found here, not after minutes. */
describe('the simulation', () => {
  it('bundles: each stand-in exports what its module exports', async () => {
    expect(await withSimulation([], bundled)).toBe('bundled');
  });

  it.each(PLANTS)('bundles with the planted bug: $name', async ({ edits }) => {
    expect(await withSimulation(edits, bundled)).toBe('bundled');
  });
});
