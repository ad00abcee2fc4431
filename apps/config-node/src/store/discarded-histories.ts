import type { PrimaryPool } from '#libs/postgres';

export interface DiscardedHistoryRow {
  nodeId: string;
  /** The first and the last version that were discarded. */
  from: number;
  to: number;
  /** Changes that are in the file. */
  changes: number;
  file: string | null;
}

/** The audit of what nodes gave up for the database: who, which versions, and where they are kept. */
export class DiscardedHistories {
  constructor(private readonly pool: PrimaryPool) {}

  /** The latest 1,000 are kept. */
  async note({ nodeId, from, to, changes, file }: DiscardedHistoryRow): Promise<void> {
    await this.pool.query({
      name: 'note-discarded',
      text: `with pruned as (
          delete from config.discarded_histories where id <= (select max(id) - 1000 from config.discarded_histories)
        ) insert into config.discarded_histories (node_id, from_version, to_version, changes, file)
          values ($1, $2, $3, $4, $5)`,
      values: [nodeId, from, to, changes, file],
    });
  }
}
