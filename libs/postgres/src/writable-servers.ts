import type { ServerRole } from './connection.js';
import type { WritableServer } from './domain/primary-choice.js';
import { StatementRefused, StorageUnavailable, unavailable } from './errors.js';
import type { HostPool, Lease } from './host-pool.js';

/** After the first writable server has answered: a host that does not even refuse must not delay it for long. */
const GRACE_MS = 200;

/** Every host that takes writes, asked all at once; rejects with why there is none. */
export async function writableServers(hosts: readonly HostPool[]): Promise<WritableServer<HostPool>[]> {
  const found: WritableServer<HostPool>[] = [];
  const asked = hosts.map(async (host) => {
    found.push(await rankOf(host, hosts.length > 1));
  });
  await Promise.any(asked).catch((error: unknown) => {
    throw unavailable('no writable Postgres', error);
  });
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, GRACE_MS);
  });
  await Promise.race([Promise.allSettled(asked), patience]);
  clearTimeout(timer);
  return [...found];
}

async function rankOf(host: HostPool, oneOfSeveral: boolean): Promise<WritableServer<HostPool>> {
  const lease = await host.lease();
  try {
    if ((await roleOf(lease)) === 'standby') throw new StorageUnavailable(`${host.name} is a standby`);
    if (!oneOfSeveral) return { host, timeline: 0, term: 0 };
    return { host, timeline: await timelineOf(lease), term: await termOf(lease) };
  } finally {
    lease.release();
  }
}

async function roleOf({ connection }: Lease): Promise<ServerRole> {
  // A connection that was idle while its server was promoted hears of it with its next result.
  if (connection.role === 'standby') await connection.send({ text: 'select 1' });
  return connection.role;
}

async function timelineOf({ connection }: Lease): Promise<number> {
  const { rows } = await connection.send<{ file: string }>({
    text: 'select pg_walfile_name(pg_current_wal_lsn()) as file',
  });
  return Number.parseInt(rows[0]?.file.slice(0, 8) ?? '0', 16);
}

/** 0 before there is a schema, and for roles that may not read it. */
async function termOf({ connection }: Lease): Promise<number> {
  try {
    const { rows } = await connection.send<{ term: number }>({
      text: 'select term from config.head where id = 1',
    });
    return rows[0]?.term ?? 0;
  } catch (error) {
    if (error instanceof StatementRefused) return 0;
    throw error;
  }
}
