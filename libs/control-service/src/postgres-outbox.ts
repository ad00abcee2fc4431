import type { OutboxEvent, OutboxRows } from '#libs/messaging';
import type { PrimaryPool } from '#libs/postgres';

/** The SQL that creates the outbox of a service in its schema: for a migration. */
export function outboxTable(schema: string): string {
  return `
create table ${schema}.facts (
  id text primary key,
  subject text not null,
  payload jsonb not null,
  at timestamptz(3) not null default clock_timestamp(),
  published boolean not null default false
);
create index facts_unpublished on ${schema}.facts (at) where not published;
`;
}

/** The events of a service that are rows before they are messages. */
export class PostgresOutbox implements OutboxRows {
  constructor(
    private readonly pool: PrimaryPool,
    private readonly schema: string,
  ) {}

  /** Those of the last second are left to the process that wrote them, which publishes them at once. */
  async unpublished(limit: number): Promise<OutboxEvent[]> {
    const { rows } = await this.pool.query<OutboxEvent>({
      name: `${this.schema}.unpublished`,
      text: `select id, subject, payload from ${this.schema}.facts
        where not published and at < clock_timestamp() - interval '1 second' order by at limit $1`,
      values: [limit],
    });
    return rows;
  }

  async markPublished(ids: readonly string[]): Promise<void> {
    await this.pool.query({
      name: `${this.schema}.mark-published`,
      text: `update ${this.schema}.facts set published = true where id = any($1::text[]) and not published`,
      values: [ids],
    });
  }
}
