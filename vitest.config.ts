import { defineConfig } from 'vitest/config';

// '#libs/*' resolves to TypeScript sources, so that tests need no build.
const resolve = { conditions: ['source'] };
/** What `npm test` runs of the end-to-end tests: one command to start with, the loss of the leader, of each dependency. */
const SMOKE = ['first-minutes', 'leader-loss', 'backing-services'].map(
  (name) => `test/e2e/${name}.e2e.spec.ts`,
);
// Where the set-up of a whole run is loaded.
const environments = { __vitest__: { resolve } };

export default defineConfig({
  resolve,
  ssr: { resolve },
  environments,
  test: {
    // A thread may spin for ever in Node's own cleanup of pipes to children that were killed.
    pool: 'forks',
    isolate: false,
    // A machine that is busy with other things may stand still for seconds.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      {
        extends: true,
        // Properties of many cases take seconds, on a busy machine many.
        test: { name: 'unit', include: ['{apps,libs,tools}/**/*.spec.ts'], testTimeout: 60_000 },
      },
      {
        extends: true,
        test: {
          name: 'sim',
          include: ['test/sim/**/*.sim.spec.ts'],
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.int.spec.ts'],
          globalSetup: ['test/integration/local-programs.setup.ts'],
          // Every file has servers of its own on free ports; most of the time they wait.
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'smoke',
          include: SMOKE,
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.e2e.spec.ts'],
          exclude: SMOKE,
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'soak',
          include: ['test/e2e/**/*.soak.spec.ts'],
          fileParallelism: false,
          testTimeout: 3_600_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
