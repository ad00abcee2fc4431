import { Client, type ClientConfig } from 'pg';
import { deferred } from '#libs/kernel';
import {
  classify,
  isDurabilityWarning,
  isServerError,
  OutcomeUnknown,
  StorageUnavailable,
} from './errors.js';
import { UnsafeInteger } from './value-types.js';

export interface Statement {
  /** A named statement is parsed and planned once per connection. */
  name?: string;
  text: string;
  values?: unknown[];
  /** Instead of the pool's own bound on the wait for an answer. */
  timeoutMs?: number;
}

export interface Rows<R> {
  rows: R[];
  rowCount: number;
}

export type ServerRole = 'primary' | 'standby' | 'unknown';

/** Where statements can be sent: a pool, or one connection inside a transaction. */
export interface Queryable {
  query<R extends object = Record<string, unknown>>(statement: Statement): Promise<Rows<R>>;
}

const READY_AFTER_ERROR_MS = 500;

/**
 * One connection that knows its server's role and whether it is fit for another statement.
 * Since Postgres 14 a server reports `in_hot_standby` at connect and again, with the next result, when it is promoted.
 */
export class Connection extends Client implements Queryable {
  role: ServerRole = 'unknown';
  /** Of the server process, as the driver keeps it. */
  declare private readonly processID: number | null;
  #broken: Error | undefined;
  #awaitingReady = false;
  #undurable: string | undefined;
  #onReady: (() => void) | undefined;

  constructor(config?: string | ClientConfig) {
    super(config);
    this.connection.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) => {
      if (message.parameterName !== 'in_hot_standby') return;
      this.role = message.parameterValue === 'on' ? 'standby' : 'primary';
    });
    this.connection.on('readyForQuery', () => {
      this.#awaitingReady = false;
      this.#onReady?.();
    });
    // Without a listener the loss of an idle connection would end the process.
    this.on('error', (error) => {
      this.#broken ??= error;
    });
    this.on('end', () => {
      this.#broken ??= new Error('the connection was closed');
      this.#onReady?.();
    });
    this.on('notice', (notice) => {
      if (isDurabilityWarning(notice)) this.#undurable = notice.message;
    });
  }

  /** The server process that serves this connection. */
  get backendPid(): number {
    return this.processID ?? 0;
  }

  /** Why the connection must not be used again; undefined when it may. */
  get fault(): Error | undefined {
    if (this.#broken) return this.#broken;
    return this.#awaitingReady ? new Error('the connection still waits for an answer') : undefined;
  }

  /** Marks the connection as unfit: it is closed when it is given back. */
  condemn(cause: unknown): void {
    this.#broken ??= cause instanceof Error ? cause : new Error(String(cause));
  }

  /** Settles when the server is ready for the next statement: what this one did is committed or rolled back by then. */
  async send<R extends object>(statement: Statement): Promise<Rows<R>> {
    if (this.#broken) {
      throw new StorageUnavailable('the connection was lost before the statement', { cause: this.#broken });
    }
    this.#undurable = undefined;
    this.#awaitingReady = true;
    const { timeoutMs, ...query } = statement;
    try {
      const result = await this.query<R>({
        ...query,
        ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs }),
      });
      if (this.#undurable !== undefined)
        throw new OutcomeUnknown(`committed with a warning: ${this.#undurable}`);
      return { rows: result.rows, rowCount: result.rowCount ?? 0 };
    } catch (error) {
      // Of these two the statement was carried out.
      if (error instanceof OutcomeUnknown || error instanceof UnsafeInteger) throw error;
      // The driver tells of an error as soon as it reads it; the transaction ends, and the next may begin, after it.
      if (isServerError(error)) await this.#readyOrBroken();
      throw classify(error);
    }
  }

  /** Bounded: a connection that does not become ready is not used again. */
  async #readyOrBroken(): Promise<void> {
    if (!this.#awaitingReady || this.#broken) return;
    const ready = deferred<void>();
    this.#onReady = ready.resolve;
    const timer = setTimeout(ready.resolve, READY_AFTER_ERROR_MS);
    await ready.promise;
    clearTimeout(timer);
    this.#onReady = undefined;
  }
}
