import { type Clock, systemClock } from '#libs/kernel';
import type { Connection, Queryable, Rows, Statement } from './connection.js';
import { choosePrimary, type PrimaryChoice } from './domain/primary-choice.js';
import { READ_ONLY_TRANSACTION, StatementRefused, StorageUnavailable, unavailable } from './errors.js';
import { HostPool, type Lease } from './host-pool.js';
import { type PostgresSettings, TIMEOUTS } from './settings.js';
import { inTransaction } from './transaction.js';
import { writableServers } from './writable-servers.js';

/** Another server may have become writable although this one answers. Nothing but a connection in use asks. */
const LOCATE_AGAIN_MS = 5_000;

/**
 * Follows the writable primary among several servers.
 *
 * node-postgres knows one host per pool. Here every host has its own pool, and the primary is found by asking all of
 * them at once which one is not a standby; the answer holds until a connection breaks, a statement gets no answer, or
 * a write is refused because the server was demoted; of several hosts it is asked anew every 5 s while statements come.
 * Of several that are not standbys the newest is taken, or none (domain/primary-choice.ts), and `onSplit` is called.
 *
 * Without a primary everything rejects within a second (StorageUnavailable: the statement was never sent).
 * A statement is sent a second time only when a standby refused it.
 */
export class PrimaryPool implements Queryable {
  readonly #hosts: HostPool[];
  readonly #clock: Clock;
  #primary: HostPool | undefined;
  #locating: Promise<HostPool> | undefined;
  #locatedAtMs = Number.NEGATIVE_INFINITY;
  #timeline = 0;
  #isSplit = false;
  #failing = false;
  #ended = false;
  readonly #onSplit: (summary: string) => void;

  constructor(settings: PostgresSettings, clock: Clock = systemClock) {
    if (settings.hosts.length === 0) throw new RangeError('at least one Postgres host is needed');
    this.#clock = clock;
    this.#onSplit = settings.onSplit ?? (() => undefined);
    this.#hosts = settings.hosts.map((host) => new HostPool(settings, host));
  }

  /** False once a connection could not be had or broke, until a primary answers again. */
  available(): boolean {
    return !this.#ended && !this.#failing && this.#primary !== undefined;
  }

  async query<R extends object = Record<string, unknown>>(statement: Statement): Promise<Rows<R>> {
    const run = () => this.withConnection((connection) => connection.send<R>(statement));
    try {
      return await run();
    } catch (error) {
      // A standby did nothing: the same statement may go to the primary.
      if (isReadOnly(error)) return run();
      throw error;
    }
  }

  /** For what a standby can answer too: the log and its values. The primary is preferred while there is one. */
  async queryAnyReadable<R extends object = Record<string, unknown>>(statement: Statement): Promise<Rows<R>> {
    return this.withReadable((connection) => connection.send<R>(statement));
  }

  /** Lends one connection to the primary. */
  async withConnection<T>(use: (connection: Connection) => Promise<T>): Promise<T> {
    const lease = await this.#leasePrimary();
    const result = await this.#lend(lease, use);
    this.#failing = false;
    return result;
  }

  /** Lends one connection to the primary, or else to any server that answers. */
  async withReadable<T>(use: (connection: Connection) => Promise<T>): Promise<T> {
    const lease = await this.#leasePrimary().catch((error: unknown) => {
      if (this.#hosts.length === 1 || this.#ended) throw error;
      return this.#leaseAny();
    });
    return this.#lend(lease, use);
  }

  /** BEGIN, `work`, COMMIT on one connection; rolled back when `work` throws. */
  async transaction<T>(work: (tx: Queryable) => Promise<T>, begin = 'begin'): Promise<T> {
    return this.withConnection((connection) => inTransaction(connection, begin, work));
  }

  /** The same on any readable server; `begin` should say `read only`. */
  async readTransaction<T>(begin: string, work: (tx: Queryable) => Promise<T>): Promise<T> {
    return this.withReadable((connection) => inTransaction(connection, begin, work));
  }

  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await Promise.all(this.#hosts.map((host) => host.end()));
  }

  async #lend<T>(lease: Lease, use: (connection: Connection) => Promise<T>): Promise<T> {
    try {
      return await use(lease.connection);
    } catch (error) {
      if (isReadOnly(error) || lease.connection.fault) this.#distrust(lease);
      throw error;
    } finally {
      lease.release();
    }
  }

  #distrust(lease: Lease): void {
    lease.distrust();
    this.#failing = true;
    if (this.#primary === lease.host) this.#primary = undefined;
  }

  async #leasePrimary(): Promise<Lease> {
    if (this.#ended) throw new StorageUnavailable('the pool was closed');
    const deadline = this.#clock.monotonicMs() + TIMEOUTS.connectMs;
    try {
      this.#locateAgain();
      if (this.#primary) {
        const lease = await this.#leaseKnown(this.#primary);
        if (lease) return lease;
      }
      return await leaseWithin(this.#locateAndLease(), deadline - this.#clock.monotonicMs());
    } catch (error) {
      this.#failing = true;
      throw error;
    }
  }

  /** undefined: it is not the primary any more, or cannot be reached, and another host may be. */
  async #leaseKnown(known: HostPool): Promise<Lease | undefined> {
    try {
      const lease = await known.lease();
      if (lease.connection.role !== 'standby') return lease;
      this.#distrust(lease);
      lease.release();
    } catch (error) {
      if (this.#hosts.length === 1 || this.#ended) throw error;
      if (this.#primary === known) this.#primary = undefined;
    }
    return undefined;
  }

  async #locateAndLease(): Promise<Lease> {
    const host = await this.#locateOnce();
    return host.lease();
  }

  /** While the known primary goes on serving. */
  #locateAgain(): void {
    if (this.#hosts.length === 1 || this.#primary === undefined) return;
    if (this.#clock.monotonicMs() - this.#locatedAtMs < LOCATE_AGAIN_MS) return;
    this.#locateOnce().catch((error: unknown) => {
      // No answer is found out by whoever sends a statement next.
      if (!(error instanceof StorageUnavailable)) throw error;
    });
  }

  #locateOnce(): Promise<HostPool> {
    this.#locating ??= this.#locate().finally(() => {
      this.#locating = undefined;
    });
    return this.#locating;
  }

  async #locate(): Promise<HostPool> {
    this.#locatedAtMs = this.#clock.monotonicMs();
    const choice = choosePrimary(await writableServers(this.#hosts), this.#timeline);
    this.#noteSplit(choice);
    if (choice.type === 'refused') {
      this.#primary = undefined;
      throw new StorageUnavailable(`no Postgres may be written to: ${WHY[choice.why]}`);
    }
    const { host, timeline } = choice.server;
    this.#timeline = timeline;
    this.#primary = host;
    return host;
  }

  /** Once for each time that it begins. */
  #noteSplit(choice: PrimaryChoice<HostPool>): void {
    const { others } = choice;
    const isSplit = others.length > 0;
    if (isSplit && !this.#isSplit) {
      const all = choice.type === 'primary' ? [choice.server, ...others] : others;
      const names = all.map(
        ({ host, timeline, term }) => `${host.name} (timeline ${timeline}, term ${term})`,
      );
      const what =
        choice.type === 'primary'
          ? `${choice.server.host.name} is used`
          : `writes are refused: ${WHY[choice.why]}`;
      this.#onSplit(`servers that should not take writes do: ${names.join(', ')}; ${what}`);
    }
    this.#isSplit = isSplit;
  }

  async #leaseAny(): Promise<Lease> {
    const asked = this.#hosts.map((host) => host.lease());
    const first = await Promise.any(asked).catch((error: unknown) => {
      throw unavailable('no readable Postgres', error);
    });
    for (const lease of asked) releaseUnless(lease, first);
    return first;
  }
}

const WHY = {
  none: 'none takes writes',
  'older-timeline': 'the only one that takes writes was replaced by a promotion',
  disagree: 'several take writes, and neither is certainly the newer one',
} as const;

function isReadOnly(error: unknown): boolean {
  return error instanceof StatementRefused && error.sqlState === READ_ONLY_TRANSACTION;
}

function releaseUnless(pending: Promise<Lease>, kept: Lease | undefined): void {
  pending.then(
    (lease) => {
      if (lease !== kept) lease.release();
    },
    () => undefined, // nothing was lent
  );
}

/** A connection that comes too late goes back at once. */
function leaseWithin(pending: Promise<Lease>, ms: number): Promise<Lease> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => {
        releaseUnless(pending, undefined);
        reject(new StorageUnavailable('no writable Postgres was found in time'));
      },
      Math.max(0, ms),
    );
    pending.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
