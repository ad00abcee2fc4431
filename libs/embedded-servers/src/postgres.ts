import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import {
  type LaunchOptions,
  readyWithin,
  ServerFailed,
  type ServerProcess,
  spawnServer,
  waitUntilReady,
} from './child-server.js';
import { freePort } from './free-port.js';
import { findPostgres, postgresRunner } from './postgres-binaries.js';
import { ORPHANS_LEAVE_WITHIN_MS, pathForRunner, prepareDataDirectory, SUPERUSER } from './postgres-data.js';
import { probeTcp } from './probe.js';

const HOST = '127.0.0.1';
const DATABASE = 'postgres';

export interface PostgresServer extends ServerProcess {
  readonly host: string;
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
  /** The database that every server has. */
  readonly database: string;
}

export interface StartPostgres extends LaunchOptions {
  /** Everything of this server lives here: `data` and the superuser's `password`. Made when absent. */
  dir: string;
  port?: number;
  /** More settings (`-c name=value`); they win over the ones below. */
  settings?: Record<string, string>;
}

const SETTINGS: Record<string, string> = {
  listen_addresses: HOST,
  unix_socket_directories: '',
  password_encryption: 'scram-sha-256',
  // A change that was acknowledged survives the loss of power.
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '100',
  shared_buffers: '96MB',
  max_wal_size: '512MB',
  jit: 'off',
  huge_pages: 'off',
  // Everything hot is in memory: worker processes for reading ahead would only cost memory.
  io_method: 'sync',
  max_parallel_workers_per_gather: '0',
  tcp_keepalives_idle: '10',
  log_timezone: 'UTC',
  timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%u@%d ',
};

/** Postgres 18 from the npm package, with a password, on the loopback interface. */
export async function startPostgres(options: StartPostgres): Promise<PostgresServer> {
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const runner = postgresRunner();
  const binaries = findPostgres(runner);
  const { dataDir, password } = await prepareDataDirectory({
    dir,
    binaries,
    runner,
    onOutput: options.onOutput,
  });
  const port = options.port ?? (await freePort());
  const settings = { ...SETTINGS, port: String(port), ...options.settings };
  const args = ['-D', pathForRunner(dataDir, runner)];
  for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`);

  const startup = startupMessage();
  const ready = () =>
    // 'R' asks for the password: it is open. 'E' says that it is still starting up.
    probeTcp({ host: HOST, port, request: startup, judge: (received) => received[0] === 0x52 });
  const start = async () => {
    const server = await spawnServer({
      name: 'postgres',
      program: binaries.postgres,
      args,
      cwd: dataDir,
      // For people who look at the process: its arguments do not name the folder.
      env: { PGDATA: dataDir },
      ...runner,
      // Fast shutdown: roll back what is open, write a checkpoint, end. Then the immediate one.
      stopSignals: [
        { signal: 'SIGINT', graceMs: 8_000 },
        { signal: 'SIGQUIT', graceMs: 2_000 },
      ],
      onOutput: options.onOutput,
      onSpawned: options.onSpawned,
    });
    await waitUntilReady(server, ready, readyWithin(options, 60_000));
    return server;
  };

  const orphansGone = performance.now() + ORPHANS_LEAVE_WITHIN_MS;
  for (;;) {
    try {
      const server = await start();
      return { ...server, host: HOST, port, superuser: SUPERUSER, password, database: DATABASE };
    } catch (error) {
      const orphans =
        error instanceof ServerFailed && /shared memory block .* still in use/.test(error.message);
      if (!orphans || performance.now() > orphansGone) throw error;
      await wait(100);
    }
  }
}

/** The first message of the wire protocol, version 3.0. */
function startupMessage(): Buffer {
  const parameters = Buffer.from(`user\0${SUPERUSER}\0database\0${DATABASE}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + parameters.length, 0);
  head.writeInt32BE(3 << 16, 4);
  return Buffer.concat([head, parameters]);
}
