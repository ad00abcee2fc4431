import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { chown, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { lastWords, ServerFailed, spawnServer } from './child-server.js';
import { keptSecret } from './kept-secret.js';
import type { PostgresBinaries, Runner } from './postgres-binaries.js';

export const SUPERUSER = 'postgres';
/** Backends of a postmaster that was killed need this long to notice, and to let go of its shared memory. */
export const ORPHANS_LEAVE_WITHIN_MS = 5_000;

/**
 * How `runner` names a directory that is its working directory. Root lends Postgres the rights of "nobody", who may
 * not enter the private folders above the data (0700); the link to the working directory needs no way through them.
 */
export function pathForRunner(workingDirectory: string, runner: Runner): string {
  if (runner.uid === undefined) return workingDirectory;
  if (process.platform === 'linux') return '/proc/self/cwd';
  throw new ServerFailed('Postgres must not run as root: start Holdfast as an ordinary user');
}

/** The data directory of a cluster, initialised once, and the superuser's password. */
export async function prepareDataDirectory(options: {
  dir: string;
  binaries: PostgresBinaries;
  runner: Runner;
  onOutput?: (chunk: Buffer) => void;
}): Promise<{ dataDir: string; password: string }> {
  const dataDir = join(options.dir, 'data');
  const passwordFile = join(options.dir, 'password');
  const initialised = existsSync(join(dataDir, 'PG_VERSION'));
  if (initialised && !existsSync(passwordFile)) {
    throw new ServerFailed(`${dataDir} holds a database, but its password file ${passwordFile} is gone`);
  }
  const password = await keptSecret(passwordFile);
  if (initialised) await removeStalePidFile(dataDir);
  else await initialise({ ...options, dataDir, password });
  return { dataDir, password };
}

/** initdb in a folder beside, renamed when complete: an interrupted start leaves nothing that looks like a database. */
async function initialise(options: {
  dir: string;
  dataDir: string;
  password: string;
  binaries: PostgresBinaries;
  runner: Runner;
  onOutput?: (chunk: Buffer) => void;
}): Promise<void> {
  const { runner } = options;
  const half = join(options.dir, 'data.new');
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { mode: 0o700 });
  if (runner.uid !== undefined) await chown(half, runner.uid, runner.gid ?? runner.uid);

  const passwordFile = join(options.dir, 'password.initdb');
  const handle = await open(passwordFile, 'w+', 0o600);
  try {
    await handle.writeFile(`${options.password}\n`);
    if (runner.uid !== undefined) await handle.chown(runner.uid, runner.gid ?? runner.uid);
    const server = await spawnServer({
      name: 'initdb',
      program: options.binaries.initdb,
      args: [
        ...['-D', pathForRunner(half, runner), '--username', SUPERUSER, '--auth', 'scram-sha-256'],
        ...['--pwfile', '/dev/fd/3', '--encoding', 'UTF8', '--locale', 'C', '--data-checksums'],
      ],
      cwd: half,
      ...runner,
      extraFds: [handle.fd],
      stopSignals: [],
      onOutput: options.onOutput,
    });
    const exit = await server.exited;
    if (exit.code !== 0) throw new ServerFailed(`initdb failed${lastWords(server)}`);
  } finally {
    await handle.close();
    await rm(passwordFile, { force: true });
  }
  await rename(half, options.dataDir);
}

/**
 * Postgres refuses to start while the pid in its pid file belongs to a process of its user, whichever that is, and
 * be it one that is dead but not yet buried. Such a pid says nothing. A Postgres that really works on these data is
 * left alone; the backends of a postmaster that was killed leave by themselves, and are waited for.
 */
async function removeStalePidFile(dataDir: string): Promise<void> {
  if (process.platform !== 'linux') return; // Postgres then judges for itself
  const file = join(dataDir, 'postmaster.pid');
  const pid = await pidIn(file);
  if (pid === undefined) return;
  const giveUpAt = performance.now() + ORPHANS_LEAVE_WITHIN_MS;
  for (;;) {
    const working = postgresesOn(dataDir);
    if (working.length === 0) break;
    if (working.includes(pid) || performance.now() > giveUpAt) {
      throw new ServerFailed(
        `another Postgres (pid ${working.includes(pid) ? pid : working.join(', ')}) already runs on ${dataDir}`,
      );
    }
    await wait(50);
  }
  if (existsSync(`/proc/${pid}`)) await rm(file, { force: true });
}

/** The processes of Postgres whose working directory is this data directory. */
function postgresesOn(dataDir: string): number[] {
  const real = realpathSync(dataDir);
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && runsOn(pid, real));
}

function runsOn(pid: number, dataDir: string): boolean {
  try {
    const program = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    return program === 'postgres' && readlinkSync(`/proc/${pid}/cwd`) === dataDir;
  } catch {
    return false; // it has ended, or belongs to somebody else: then it is not a server of ours
  }
}

async function pidIn(file: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(file, 'utf8'), 10);
    return pid > 0 ? pid : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
