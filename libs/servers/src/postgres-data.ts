import { existsSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { chown, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ServerFailed, spawnServer } from './child-server.js';
import { keptSecret } from './kept-secret.js';
import type { PostgresBinaries, Runner } from './postgres-binaries.js';
import { processIdentity } from './process-identity.js';

export const SUPERUSER = 'postgres';

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
    if (exit.code !== 0) throw new ServerFailed(`initdb failed:\n${server.tail().trim()}`);
  } finally {
    await handle.close();
    await rm(passwordFile, { force: true });
  }
  await rename(half, options.dataDir);
}

/**
 * Postgres refuses to start while the pid in its pid file belongs to a running process of its user, whichever that
 * is. A pid that another program got since then says nothing; a Postgres that really runs on these data is left alone.
 */
async function removeStalePidFile(dataDir: string): Promise<void> {
  const file = join(dataDir, 'postmaster.pid');
  const pid = await pidIn(file);
  if (pid === undefined || processIdentity(pid) === undefined || process.platform !== 'linux') return;
  if (runsOn(pid, dataDir)) {
    throw new ServerFailed(`another Postgres (pid ${pid}) already runs on ${dataDir}`);
  }
  await rm(file, { force: true });
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

function runsOn(pid: number, dataDir: string): boolean {
  try {
    const program = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    return program === 'postgres' && readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataDir);
  } catch {
    return false; // it ended meanwhile, or belongs to somebody else: then it is not a server of ours
  }
}
