import { spawnSync } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** The repository, whether this file runs as it stands or built in dist. */
export const ROOT = repository(import.meta.dirname);
export const MAIN = resolve(ROOT, 'dist/apps/local/src/main.js');

/** Builds unless the built program is newer than every source. */
export function ensureBuilt(): void {
  const builtAt = statSync(MAIN, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = globSync('{apps,libs}/*/src/**/*.ts', { cwd: ROOT }).filter(
    (path) => !path.endsWith('.spec.ts') && !path.startsWith('libs/testing/'),
  );
  if (sources.every((path) => statSync(resolve(ROOT, path)).mtimeMs < builtAt)) return;
  const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, encoding: 'utf8' });
  if (build.status !== 0) throw new Error(`the build failed:\n${build.stdout}${build.stderr}`);
}

function repository(folder: string): string {
  return existsSync(resolve(folder, 'package-lock.json')) ? folder : repository(dirname(folder));
}
