import { Pool, type PoolClient } from 'pg';
import { type Rng, systemRng } from '#libs/kernel';
import { Connection } from './connection.js';
import { StorageUnavailable, unavailable } from './errors.js';
import { type PostgresHost, type PostgresSettings, TIMEOUTS, WAITING_PER_CONNECTION } from './settings.js';
import { valueTypes } from './value-types.js';

export interface Lease {
  readonly connection: Connection;
  readonly host: HostPool;
  /** Gives the connection back; one that is unfit for another statement is closed instead. */
  release(): void;
  /**
   * Its server died, was demoted or does not answer: the connections that the host had when this one was lent serve no
   * further statement.
   */
  distrust(): void;
}

/** The connections to one server. */
export class HostPool {
  readonly host: PostgresHost;
  readonly #settings: PostgresSettings;
  readonly #rng: Rng;
  readonly #max: number;
  #pool: Pool;
  readonly #ending = new Set<Promise<void>>();

  constructor(settings: PostgresSettings, host: PostgresHost, rng: Rng = systemRng) {
    this.host = host;
    this.#settings = settings;
    this.#rng = rng;
    this.#max = settings.max ?? 5;
    this.#pool = this.#create();
  }

  get name(): string {
    return `${this.host.host}:${this.host.port}`;
  }

  /** Rejects with StorageUnavailable, after the connect time-out at the latest. */
  async lease(): Promise<Lease> {
    const pool = this.#pool;
    if (pool.waitingCount >= this.#max * WAITING_PER_CONNECTION) {
      throw new StorageUnavailable(`${this.name} has no free connection, and too many wait for one`);
    }
    // Connections that died unnoticed while idle are passed over; there are at most `max` of them.
    for (let tries = 0; tries <= this.#max; tries++) {
      const client = await pool.connect().catch((error: unknown) => {
        throw unavailable(`no connection to ${this.name}`, error);
      });
      const lease = this.#leaseOf(client, pool);
      if (!lease.connection.fault) return lease;
      lease.release();
    }
    throw new StorageUnavailable(`${this.name} closes every connection`);
  }

  async end(): Promise<void> {
    this.#retire(this.#pool);
    await Promise.all(this.#ending);
  }

  #leaseOf(client: PoolClient, pool: Pool): Lease {
    if (!(client instanceof Connection)) throw new TypeError('the pool was told to make Connections');
    return {
      connection: client,
      host: this,
      release: () => client.release(client.fault),
      distrust: () => {
        // Another of its connections may have told so before; those made since then are not suspect.
        if (this.#pool !== pool) return;
        this.#retire(pool);
        this.#pool = this.#create();
      },
    };
  }

  #retire(pool: Pool): void {
    if (pool.ending) return;
    const ending = pool.end().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  #create(): Pool {
    const settings = this.#settings;
    const statementMs = settings.statementTimeoutMs ?? TIMEOUTS.statementMs;
    const pool = new Pool({
      Client: Connection,
      host: this.host.host,
      port: this.host.port,
      database: settings.database,
      user: settings.user,
      password: settings.password,
      application_name: settings.applicationName,
      types: valueTypes,
      max: this.#max,
      min: Math.min(2, this.#max),
      idleTimeoutMillis: TIMEOUTS.idleClientMs,
      connectionTimeoutMillis: TIMEOUTS.connectMs,
      maxLifetimeSeconds: this.#lifetimeSeconds(),
      keepAlive: true,
      keepAliveInitialDelayMillis: TIMEOUTS.keepAliveInitialDelayMs,
      query_timeout: statementMs + TIMEOUTS.queryAboveStatementMs,
      statement_timeout: statementMs,
      lock_timeout: TIMEOUTS.lockMs,
      idle_in_transaction_session_timeout: TIMEOUTS.idleInTransactionMs,
    });
    // The pool reads its option for every new connection: each gets its own lifetime, so that they end one by one.
    pool.on('connect', () => {
      pool.options.maxLifetimeSeconds = this.#lifetimeSeconds();
    });
    pool.on('error', (error) => settings.onConnectionError?.(error, this.host));
    return pool;
  }

  #lifetimeSeconds(): number {
    return TIMEOUTS.lifetimeSeconds * (0.8 + 0.4 * this.#rng.next());
  }
}
