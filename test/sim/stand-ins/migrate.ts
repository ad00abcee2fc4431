import type { PrimaryPool } from '#libs/postgres';

export class SchemaTooNew extends Error {
  override readonly name = 'SchemaTooNew';
}

/** The schema is there; that the database can be written to is still to be found out. */
export async function migrate(pool: PrimaryPool, schema: string): Promise<void> {
  await pool.query({ name: 'migrate', text: schema });
}
