import type { Queryable } from '#libs/postgres';
import type { Fence } from '../domain/log.types.js';

export type LeaderFence = Pick<Fence, 'term' | 'leaderId' | 'incarnation'>;

/** A publish waits for whoever holds head: nobody may wait for it long. */
const LOCK_TIMEOUT = '500ms';

/** While this leader leads. */
const LOCK_HEAD = `select version from config.head
where id = 1 and term = $1 and leader_id = $2 and incarnation = $3 for update`;

/** Nothing is committed until the transaction ends; answers head's version, undefined when somebody else leads. */
export async function lockHead(
  tx: Queryable,
  { term, leaderId, incarnation }: LeaderFence,
): Promise<number | undefined> {
  await tx.query({ text: `set local lock_timeout = '${LOCK_TIMEOUT}'` });
  const { rows } = await tx.query<{ version: number }>({
    text: LOCK_HEAD,
    values: [term, leaderId, incarnation],
  });
  return rows[0]?.version;
}
