import type { PrimaryPool, Queryable } from '#libs/postgres';
import type { ConfigTables } from './config-tables.js';
import { CONFIG_STATEMENTS, type Result } from './statements.js';

interface Statement {
  name?: string;
  text: string;
  values?: unknown[];
}

/** The model behind the interface of a pool, with neither time nor faults: what is compared with the real SQL. */
export class ModelPool {
  /** What the database's clock shows. */
  nowMs = 0;

  constructor(private readonly tables: ConfigTables) {}

  async query({ name = '', values = [] }: Statement): Promise<Result> {
    const statement = CONFIG_STATEMENTS[name];
    if (statement === undefined) throw new Error(`the model has no statement '${name}'`);
    const { rows, rowCount } = statement(this.tables, values, this.nowMs);
    return { rows, rowCount };
  }

  queryAnyReadable(statement: Statement): Promise<Result> {
    return this.query(statement);
  }

  async readTransaction<T>(_begin: string, work: (tx: Queryable) => Promise<T>): Promise<T> {
    const query = async (statement: Statement) =>
      statement.name === undefined ? { rows: [], rowCount: 0 } : this.query(statement);
    return work({ query } as Queryable);
  }
}

/** Stores take a PrimaryPool, a class with private state; they use of it what ModelPool has. */
export function modelAsPool(pool: ModelPool): PrimaryPool {
  return pool as unknown as PrimaryPool;
}
