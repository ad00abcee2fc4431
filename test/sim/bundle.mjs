// Makes one file of the simulation and all that it runs, with stand-ins for what touches the machine.
// Usage: node test/sim/bundle.mjs <out file>
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { build } from 'vite';

const ROOT = resolve(import.meta.dirname, '../..');
const STAND_INS = resolve(import.meta.dirname, 'stand-ins');

/** Modules that touch the machine, and what stands in for them. */
const REPLACED = {
  'apps/config-node/src/membership/incarnation.ts': 'incarnation.ts',
  'apps/config-node/src/announce/event-cursor.ts': 'event-cursor.ts',
  'apps/config-node/src/state-transfer/discarded-history.ts': 'discarded-history.ts',
  'apps/config-node/src/replica/snapshot-file.ts': 'snapshot-file.ts',
  'apps/config-node/src/peers/peer-client.ts': 'peer-client.ts',
  'apps/failover/src/nodes/http-calls.ts': 'http-calls.ts',
  'apps/failover/src/nodes/dial.ts': 'dial.ts',
  'apps/failover/src/nodes/liveness-connection.ts': 'liveness-connection.ts',
  'apps/sync/src/sync-node-client.ts': 'sync-node-client.ts',
  'apps/gateway/src/nodes/upstreams.ts': 'upstreams.ts',
  'libs/observability/src/event-loop.ts': 'event-loop.ts',
  'libs/postgres/src/migrate.ts': 'migrate.ts',
};
const REPLACED_PACKAGES = { 'node:timers/promises': 'timers-promises.ts', 'node:crypto': 'crypto.ts' };

function standIns() {
  const byPath = new Map(
    Object.entries(REPLACED).map(([from, to]) => [resolve(ROOT, from), resolve(STAND_INS, to)]),
  );
  return {
    name: 'stand-ins',
    enforce: 'pre',
    async resolveId(source, importer, options) {
      if (importer?.startsWith(STAND_INS) && source.startsWith('node:')) return undefined;
      const standIn = REPLACED_PACKAGES[source];
      if (standIn !== undefined) return resolve(STAND_INS, standIn);
      const resolved = await this.resolve(source, importer, { ...options, skipSelf: true });
      return byPath.get(resolved?.id ?? '') ?? undefined;
    },
  };
}

/** Changes places of modules, each of which must be there exactly once. */
function planted(edits) {
  const left = new Set(edits);
  return {
    name: 'planted-bug',
    enforce: 'pre',
    load(id) {
      const here = edits.filter(({ file }) => resolve(ROOT, file) === id);
      if (here.length === 0) return undefined;
      let code = readFileSync(id, 'utf8');
      for (const edit of here) {
        if (code.split(edit.find).length !== 2) throw new Error(`'${edit.find}' is not once in ${edit.file}`);
        code = code.replace(edit.find, () => edit.put);
        left.delete(edit);
      }
      return code;
    },
    buildEnd() {
      for (const { file } of left) throw new Error(`${file} is not part of the simulation`);
    },
  };
}

/** @param edits changes of sources: a planted bug */
export async function bundleSimulation(out, edits = []) {
  await build({
    configFile: false,
    root: ROOT,
    logLevel: 'error',
    plugins: [planted(edits), standIns()],
    resolve: { conditions: ['source'] },
    ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
    build: {
      ssr: resolve(import.meta.dirname, 'main.ts'),
      target: 'node24',
      minify: false,
      emptyOutDir: false,
      outDir: dirname(out),
      rolldownOptions: { output: { entryFileNames: out.slice(dirname(out).length + 1), format: 'es' } },
    },
  });
}

if (process.argv[1] === import.meta.filename) {
  const begin = performance.now();
  await bundleSimulation(resolve(process.argv[2] ?? 'node_modules/.sim/sim.mjs'));
  console.log(`bundled in ${Math.round(performance.now() - begin)} ms`);
}
