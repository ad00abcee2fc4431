import pg from 'pg';
import type { PostgresServer } from '#libs/embedded-servers';
import { bootstrapSql } from '#libs/postgres';
import { DATABASE_ROLES, type DatabaseRole } from './domain/process-plan.js';

const DATABASE = 'holdfast';

/** Makes the database, and in it the roles and schemas of the services. Done at every start: it changes nothing twice. */
export async function prepareDatabase(
  server: Pick<PostgresServer, 'host' | 'port' | 'superuser' | 'password' | 'database'>,
  passwords: Readonly<Record<DatabaseRole, string>>,
): Promise<void> {
  await asSuperuser(server, server.database, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  });
  const byRole = {
    holdfast_node: passwords.node,
    holdfast_registry: passwords.registry,
    holdfast_health: passwords.health,
    holdfast_failover: passwords.failover,
    holdfast_sync: passwords.sync,
    holdfast_consistency: passwords.consistency,
  } satisfies Record<`holdfast_${(typeof DATABASE_ROLES)[number]}`, string>;
  await asSuperuser(server, DATABASE, (client) => client.query(bootstrapSql({ passwords: byRole })));
}

async function asSuperuser(
  server: Pick<PostgresServer, 'host' | 'port' | 'superuser' | 'password'>,
  database: string,
  work: (client: pg.Client) => Promise<unknown>,
): Promise<void> {
  const { host, port, superuser: user, password } = server;
  const client = new pg.Client({ host, port, user, password, database, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
