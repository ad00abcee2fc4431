import { loadSettings } from '#libs/config';
import { prepareDatabase } from './database.js';

/**
 * Sets up a Postgres that Holdfast does not run itself, once, as its superuser: the database, a role and a schema for
 * each service. All roles get the password that the services are given. Running it again changes nothing.
 */
const settings = loadSettings(['postgresHosts', 'postgresPassword', 'superuserPassword']);
const [primary] = settings.postgresHosts;
const { postgresPassword: password, superuserPassword } = settings;
if (!primary || !superuserPassword || password === '') {
  process.stderr.write(
    'set HOLDFAST_POSTGRES_HOSTS, HOLDFAST_SUPERUSER_PASSWORD and HOLDFAST_POSTGRES_PASSWORD\n',
  );
  process.exit(1);
}
const superuser = { superuser: 'postgres', password: superuserPassword, database: 'postgres' };
await prepareDatabase(
  { ...primary, ...superuser },
  {
    ...{ node: password, registry: password, health: password, failover: password },
    ...{ sync: password, consistency: password },
  },
);
process.stdout.write(`the database at ${primary.host}:${primary.port} is ready for Holdfast\n`);
