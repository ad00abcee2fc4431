import { escapeLiteral } from 'pg';

/** Each service's role and the schema that it alone writes. */
export const SERVICE_ROLES = {
  holdfast_node: 'config',
  holdfast_registry: 'registry',
  holdfast_failover: 'failover',
  holdfast_health: 'health',
  holdfast_sync: 'sync',
  holdfast_consistency: 'consistency',
} as const;

export type ServiceRole = keyof typeof SERVICE_ROLES;

/**
 * A transaction ends at the latest after this long, whatever its session does: a backend that never receives the last
 * bytes of a message holds its row locks, and neither the statement nor the idle time-out ever fires for it.
 */
const TRANSACTION_TIMEOUT = '2500ms';

/**
 * What a superuser runs once in the database that Holdfast is to use, before any service starts: roles, passwords,
 * schemas and rights. Running it again changes nothing but the passwords. Needs Postgres 17 or later.
 */
export function bootstrapSql(options: { passwords: Record<ServiceRole, string> }): string {
  const roles = Object.entries(SERVICE_ROLES).map(([role, schema]) => {
    const password = options.passwords[role as ServiceRole];
    if (!password || password.includes('\0')) throw new RangeError(`${role} needs a password without U+0000`);
    return `do $$ begin
  if not exists (select from pg_roles where rolname = '${role}') then create role ${role}; end if;
end $$;
alter role ${role} with login nosuperuser nocreatedb nocreaterole noreplication password ${escapeLiteral(password)};
alter role ${role} set transaction_timeout = '${TRANSACTION_TIMEOUT}';
-- The severity of a message comes in the server's language, and only a superuser may choose that.
alter role ${role} set lc_messages = 'C';
alter role ${role} set tcp_keepalives_idle = 2;
alter role ${role} set tcp_keepalives_interval = 1;
alter role ${role} set tcp_keepalives_count = 3;
alter role ${role} set client_connection_check_interval = '1s';
alter role ${role} set synchronous_commit = on;
alter role ${role} set search_path = ${schema}, pg_catalog;
create schema if not exists ${schema} authorization ${role};
revoke all on schema ${schema} from public;
`;
  });
  return `set client_min_messages = warning;
${roles.join('\n')}
-- An election ends the backend of a deposed leader that holds the head row.
grant pg_signal_backend to holdfast_failover;
grant usage on schema config to holdfast_registry, holdfast_failover, holdfast_sync, holdfast_consistency;
revoke create on schema public from public;
reset client_min_messages;
`;
}
