import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSettings } from '#libs/settings';
import { prepareDatabase } from './database.js';
import { DATABASE_ROLES, type DatabaseRole } from './domain/process-plan.js';

/**
 * Sets up a Postgres that Holdfast does not run itself, once, as its superuser: the database, a role and a schema for
 * each service. Each role gets the password in its own file, postgres-node for `holdfast_node` and so on, and each service
 * that of its role alone. Running it again changes nothing but passwords.
 */
const settings = loadSettings(['postgresHosts', 'superuserPassword', 'rolePasswordsDir']);
const [primary] = settings.postgresHosts;
const { superuserPassword, rolePasswordsDir: dir } = settings;
if (!primary || !superuserPassword || dir === undefined) {
  refuse('set HOLDFAST_POSTGRES_HOSTS, HOLDFAST_SUPERUSER_PASSWORD(_FILE) and HOLDFAST_ROLE_PASSWORDS_DIR');
}
const passwords = Object.fromEntries(
  DATABASE_ROLES.map((role) => [role, passwordIn(join(dir, `postgres-${role}`))]),
) as Record<DatabaseRole, string>;
const superuser = { superuser: 'postgres', password: superuserPassword, database: 'postgres' };
await prepareDatabase({ ...primary, ...superuser }, passwords);
process.stdout.write(`the database at ${primary.host}:${primary.port} is ready for Holdfast\n`);

function passwordIn(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    refuse(`${file} cannot be read: ${(error as Error).message}`);
  }
  if (text.length < 16 || text.length > 1_024)
    refuse(`${file} must hold a password of 16 to 1,024 characters`);
  return text;
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}
