import { Admission } from '#libs/service';
import { fromStorage } from './storage-problem.js';

const REFUSAL = 'too many requests read the history';
/** What requests read from the log at once, of a node's few connections for that. */
const LOG = { atOnce: 4, waiting: 128, waitMs: 2_000, refusal: REFUSAL };
/** The head is read over the connections that commits use. */
const HEAD = { atOnce: 1, waiting: 64, waitMs: 2_000, refusal: REFUSAL };

/**
 * What requests of clients read from the database, a few statements at a time. More would wait for connections until
 * the wait looks like a database that is away: the answer to that is 429 `cluster-busy`, since another moment, or
 * another node, will do.
 */
export class StorageReads {
  private readonly logReads = new Admission(LOG);
  private readonly headReads = new Admission(HEAD);

  /** A statement on the log. Throws 429 `cluster-busy` or 503 `storage-unavailable`. */
  log<Result>(statement: () => Promise<Result>): Promise<Result> {
    return fromStorage(this.logReads.execute(statement));
  }

  /** The same for the head. */
  head<Result>(statement: () => Promise<Result>): Promise<Result> {
    return fromStorage(this.headReads.execute(statement));
  }
}
