import { mkdtemp, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundleSimulation } from '../test/sim/bundle.mjs';
import { PLANTS } from '../test/sim/plants.mjs';

/** Inside the project, so that the bundle finds the packages that it leaves outside. */
const FOLDER = resolve('node_modules');

describe('the simulation', () => {
  it('bundles: each stand-in exports what its module exports', async () => {
    const folder = await mkdtemp(`${FOLDER}/.sim-`);
    try {
      await bundleSimulation(resolve(folder, 'sim.mjs'), []);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it.each(PLANTS)('bundles with the planted bug: $name', async ({ edits }) => {
    const folder = await mkdtemp(`${FOLDER}/.sim-`);
    try {
      await expect(bundleSimulation(resolve(folder, 'sim.mjs'), edits)).resolves.toBeUndefined();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
