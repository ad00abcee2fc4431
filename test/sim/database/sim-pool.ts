import {
  type Connection,
  OutcomeUnknown,
  type PrimaryPool,
  type Queryable,
  StorageUnavailable,
} from '#libs/postgres';
import type { Network } from '../world/network.js';
import type { SimProcess } from '../world/process.js';
import type { ConfigTables } from './config-tables.js';
import type { SimDatabase } from './database.js';
import type { Result } from './statements.js';

const CONNECT_MS = 1_000;
const QUERY_MS = 3_000;
const DATABASE = 'db';

interface Statement {
  name?: string;
  text: string;
  values?: unknown[];
  timeoutMs?: number;
}

/** A process's connections to the database, with the promises of PrimaryPool. */
export class SimPool {
  /** The server that its connections are to; undefined = the next statement needs a new connection. */
  private server: number | undefined;
  private failing = false;

  constructor(
    private readonly process: SimProcess,
    private readonly network: Network,
    private readonly database: SimDatabase,
  ) {}

  available(): boolean {
    return !this.failing && this.server !== undefined;
  }

  query(statement: Statement): Promise<Result> {
    if (this.server !== undefined) return this.send(this.server, statement);
    return this.connect().then((server) => this.send(server, statement));
  }

  queryAnyReadable(statement: Statement): Promise<Result> {
    return this.query(statement);
  }

  /** One connection; whose backend it is the model need not know. */
  withConnection<T>(use: (connection: Pick<Connection, 'send' | 'backendPid'>) => Promise<T>): Promise<T> {
    const send = (statement: Statement) => this.query(statement);
    return use({ send: send as Connection['send'], backendPid: 0 });
  }

  /** The whole state of one moment, and statements on that. */
  async readTransaction<T>(_begin: string, work: (tx: Queryable) => Promise<T>): Promise<T> {
    const { rows } = await this.query({ name: 'state', text: '' });
    const state = rows[0] as ConfigTables;
    const query = async ({ name = '', values = [] }: Statement): Promise<Result> => {
      if (!this.network.joined(this.process.name, DATABASE)) throw this.lost('the connection broke');
      return this.database.read(state, name, values);
    };
    return work({ query } as Queryable);
  }

  async end(): Promise<void> {
    this.server = undefined;
  }

  /** To the primary; or, for a while, to the one that was replaced, which still believes that it is one. */
  private connect(): Promise<number> {
    if (this.server !== undefined) return Promise.resolve(this.server);
    const { network, database, process } = this;
    return new Promise((resolve, reject) => {
      const fail = () => {
        this.failing = true;
        reject(new StorageUnavailable('no writable Postgres'));
      };
      if (!network.joined(process.name, DATABASE) || (database.isStalled && database.isUp)) {
        process.timer(CONNECT_MS, fail);
        return;
      }
      process.deliverIn(network.delayMs(process.name, DATABASE) * 2, () => {
        if (!database.isUp) fail();
        else {
          this.server = database.server;
          resolve(this.server);
        }
      });
    });
  }

  private send(server: number, statement: Statement): Promise<Result> {
    const { process, network, database } = this;
    const { name = statement.text.slice(0, 40), values = [], timeoutMs = QUERY_MS } = statement;
    return new Promise((resolve, reject) => {
      let over = false;
      const timer = process.timer(timeoutMs, () => {
        if (over) return;
        over = true;
        reject(this.lost('no answer from Postgres'));
      });
      const finish = (result: Result | Error) => {
        if (over) return;
        over = true;
        timer.run = undefined;
        if (!(result instanceof Error)) {
          this.failing = false;
          resolve(result);
        } else reject(result instanceof OutcomeUnknown ? this.lost(result.message) : result);
      };
      const reply = (result: Result | Error) => {
        if (!network.passes(DATABASE, process.name)) return;
        process.deliverIn(network.delayMs(DATABASE, process.name), () => finish(result));
      };
      if (!network.passes(process.name, DATABASE)) return;
      const { replaced } = database;
      if (
        server !== database.server &&
        replaced?.server === server &&
        database.world.nowMs < replaced.untilMs
      ) {
        this.askReplaced(replaced.tables, name, values, reply);
        return;
      }
      const frozenMs = database.rng.next() < database.faults.frozen ? 500 + database.rng.next() * 7_000 : 0;
      database.world.in(network.delayMs(process.name, DATABASE) + frozenMs, () =>
        database.arrive({ name, values, reply, arrivedMs: database.world.nowMs, server }),
      );
    });
  }

  /** A primary that was replaced shows what it had; what would have to be committed gets no answer. */
  private askReplaced(
    tables: ConfigTables,
    name: string,
    values: readonly unknown[],
    reply: (result: Result | Error) => void,
  ): void {
    if (!this.database.isRead(name)) return;
    this.database.world.in(0.5, () => reply(this.database.read(tables, name, values)));
  }

  private lost(why: string): OutcomeUnknown {
    this.server = undefined;
    this.failing = true;
    return new OutcomeUnknown(why);
  }
}

/** Stores take a PrimaryPool, a class with private state; they use of it what SimPool has. */
export function asPrimaryPool(pool: SimPool): PrimaryPool {
  return pool as unknown as PrimaryPool;
}
