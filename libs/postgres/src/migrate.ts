import type { Queryable } from './connection.js';
import type { PrimaryPool } from './primary-pool.js';

/** The database was migrated by a newer release: this one would misread it. */
export class SchemaTooNew extends Error {
  override readonly name = 'SchemaTooNew';
}

/** Migrations may take this long, and wait this long for another process that is migrating. */
const PATIENCE_MS = 120_000;

/**
 * Brings `schema`, which must exist, up to the last of `migrations`, in one transaction. Number n of the list is
 * version n+1; the list only ever grows. Any number of processes may call this at once: the first does the work.
 */
export async function migrate(
  pool: PrimaryPool,
  schema: string,
  migrations: readonly string[],
): Promise<void> {
  if (!/^[a-z_]+$/.test(schema)) throw new RangeError(`'${schema}' is not a schema name`);
  await pool.transaction(async (tx) => {
    const run = <R extends object>(text: string, values?: unknown[]) =>
      tx.query<R>({ text, timeoutMs: PATIENCE_MS + 1_000, ...(values ? { values } : {}) });
    await allowTime(run);
    await run('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`holdfast migrations of ${schema}`]);
    await run(`create table if not exists ${schema}.migrations
      (version int primary key, applied_at timestamptz not null default now())`);
    const { rows } = await run<{ version: number }>(
      `select coalesce(max(version), 0) as version from ${schema}.migrations`,
    );
    const present = rows[0]?.version ?? 0;
    if (present > migrations.length) {
      throw new SchemaTooNew(
        `schema '${schema}' is at version ${present}; this release knows ${migrations.length}: start a newer one`,
      );
    }
    for (const [index, text] of migrations.entries()) {
      if (index < present) continue;
      await run(text);
      await run(`insert into ${schema}.migrations (version) values ($1)`, [index + 1]);
    }
  });
}

async function allowTime(run: (text: string) => ReturnType<Queryable['query']>): Promise<void> {
  await run(`set local statement_timeout = ${PATIENCE_MS}`);
  await run(`set local lock_timeout = ${PATIENCE_MS}`);
  // The role's own limit is for publishing. Postgres has it since 17; a timer that runs is stopped by 0 only.
  await run(`select set_config(name, '0', true) from pg_settings where name = 'transaction_timeout'`);
}
