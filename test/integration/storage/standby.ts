import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, type PostgresServer, startPostgres } from '#libs/servers';

export interface PrimaryAndStandby {
  primary: PostgresServer;
  standby: PostgresServer;
  close(): Promise<void>;
}

/** A primary and its streaming standby: the data directory is copied before the primary has run on it again. */
export async function startPrimaryAndStandby(): Promise<PrimaryAndStandby> {
  const dirs = [
    await mkdtemp(join(tmpdir(), 'holdfast-primary-')),
    await mkdtemp(join(tmpdir(), 'holdfast-standby-')),
  ] as const;
  const [primaryPort = 0, standbyPort = 0] = await freePorts(2);
  const made = await startPostgres({ dir: dirs[0], port: primaryPort });
  await made.stop();
  for (const name of ['data', 'password']) {
    const copied = spawnSync('cp', ['-a', join(dirs[0], name), join(dirs[1], name)]);
    if (copied.status !== 0) throw new Error(String(copied.stderr));
  }
  await writeFile(join(dirs[1], 'data', 'standby.signal'), '', { mode: 0o644 });
  const primary = await startPostgres({ dir: dirs[0], port: primaryPort });
  const standby = await startPostgres({
    dir: dirs[1],
    port: standbyPort,
    settings: {
      primary_conninfo: `host=127.0.0.1 port=${primaryPort} user=${primary.superuser} password=${primary.password}`,
    },
  });
  return {
    primary,
    standby,
    close: async () => {
      await Promise.all([primary.stop(), standby.stop()]);
      await Promise.all(dirs.map((dir) => rm(dir, { recursive: true, force: true })));
    },
  };
}
