import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, type PostgresServer, startPostgres } from '#libs/embedded-servers';
import { FaultProxy } from '#libs/testing';

export interface PrimaryAndStandby {
  primary: PostgresServer;
  standby: PostgresServer;
  /** Between the standby and the primary: what is cut here the standby never gets. */
  replication: FaultProxy;
  close(): Promise<void>;
}

/**
 * A primary and its streaming standby, asynchronous: the data directory is copied before the primary has run on it again.
 * @param home where their folders are made; a temporary one by default
 */
export async function startPrimaryAndStandby(home?: string): Promise<PrimaryAndStandby> {
  const root = home ?? (await mkdtemp(join(tmpdir(), 'holdfast-standby-')));
  const dirs = [join(root, 'primary'), join(root, 'standby')] as const;
  for (const dir of dirs) await mkdir(dir, { mode: 0o700 });
  const [primaryPort = 0, standbyPort = 0] = await freePorts(2);
  const made = await startPostgres({ dir: dirs[0], port: primaryPort });
  await made.stop();
  for (const name of ['data', 'password']) {
    const copied = spawnSync('cp', ['-a', join(dirs[0], name), join(dirs[1], name)]);
    if (copied.status !== 0) throw new Error(String(copied.stderr));
  }
  await writeFile(join(dirs[1], 'data', 'standby.signal'), '', { mode: 0o644 });
  const primary = await startPostgres({ dir: dirs[0], port: primaryPort });
  const replication = await FaultProxy.start({ host: primary.host, port: primaryPort });
  const standby = await startPostgres({
    dir: dirs[1],
    port: standbyPort,
    settings: {
      primary_conninfo: `host=127.0.0.1 port=${replication.port} user=${primary.superuser} password=${primary.password}`,
    },
  });
  return {
    primary,
    standby,
    replication,
    close: async () => {
      await Promise.all([primary.stop(), standby.stop(), replication.close()]);
      await rm(home === undefined ? root : join(root, 'primary'), { recursive: true, force: true });
      await rm(join(root, 'standby'), { recursive: true, force: true });
    },
  };
}
