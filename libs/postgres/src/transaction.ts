import type { Connection, Queryable } from './connection.js';
import { OutcomeUnknown, StatementRefused } from './errors.js';

const IN_FAILED_TRANSACTION = '25P02';

/** `begin`, `work`, COMMIT on one connection; rolled back when `work` throws, and then that error is the one reported. */
export async function inTransaction<T>(
  connection: Connection,
  begin: string,
  work: (tx: Queryable) => Promise<T>,
): Promise<T> {
  await connection.send({ text: begin });
  try {
    const result = await work({ query: (statement) => connection.send(statement) });
    // COMMIT of a failed transaction rolls back without an error.
    if (connection.getTransactionStatus() === 'E') {
      throw new StatementRefused('a statement of the transaction had failed', IN_FAILED_TRANSACTION);
    }
    await connection.send({ text: 'commit' });
    return result;
  } catch (error) {
    await rollBack(connection, error);
    throw error;
  }
}

/** A connection that cannot even roll back is closed, upon which the server rolls back. */
async function rollBack(connection: Connection, cause: unknown): Promise<void> {
  if (connection.fault || cause instanceof OutcomeUnknown) {
    connection.condemn(cause);
    return;
  }
  try {
    await connection.send({ text: 'rollback' });
  } catch (error) {
    connection.condemn(error);
  }
}
