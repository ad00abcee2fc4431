import type { PrimaryPool } from './primary-pool.js';

const TIMEOUT_MS = 1_000;
/** So long after its last sign of life the row of an instance is of no use to anybody. */
const ROW_LIFE_MS = 3_600_000;

/**
 * Which instances of a service live, by rows of the table `instances (instance_id, renewed_at)` in its schema: an
 * instance lives while its row is young by the database's clock.
 */
export class InstanceRows {
  constructor(
    private readonly pool: PrimaryPool,
    private readonly schema: string,
  ) {
    if (!/^[a-z_]+$/.test(schema)) throw new RangeError(`'${schema}' is not a schema name`);
  }

  /** Says that this instance lives. Resolves to the others whose rows are younger than `lifeMs`. */
  async renew(instanceId: string, lifeMs: number): Promise<string[]> {
    const { rows } = await this.pool.query<{ instanceId: string }>({
      name: `${this.schema}.renew`,
      text: `with me as (
          insert into ${this.schema}.instances (instance_id, renewed_at) values ($1, clock_timestamp())
          on conflict (instance_id) do update set renewed_at = excluded.renewed_at
        ), gone as (
          delete from ${this.schema}.instances
          where renewed_at < clock_timestamp() - $3 * interval '1 millisecond' and instance_id <> $1
        ) select instance_id as "instanceId" from ${this.schema}.instances
          where renewed_at > clock_timestamp() - $2 * interval '1 millisecond' and instance_id <> $1
          order by instance_id`,
      values: [instanceId, lifeMs, ROW_LIFE_MS],
      timeoutMs: TIMEOUT_MS,
    });
    return rows.map((row) => row.instanceId);
  }

  /** Leaves at once instead of being missed. */
  async resign(instanceId: string): Promise<void> {
    await this.pool.query({
      name: `${this.schema}.resign`,
      text: `delete from ${this.schema}.instances where instance_id = $1`,
      values: [instanceId],
      timeoutMs: TIMEOUT_MS,
    });
  }

  /** All that live, whoever asks. */
  async alive(lifeMs: number): Promise<string[]> {
    const { rows } = await this.pool.query<{ instanceId: string }>({
      name: `${this.schema}.instances`,
      text: `select instance_id as "instanceId" from ${this.schema}.instances
        where renewed_at > clock_timestamp() - $1 * interval '1 millisecond' order by instance_id`,
      values: [lifeMs],
      timeoutMs: TIMEOUT_MS,
    });
    return rows.map((row) => row.instanceId);
  }
}
