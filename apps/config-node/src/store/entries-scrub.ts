import type { PrimaryPool } from '#libs/postgres';
import { SCRUB_SLICE, SET_RIGHT } from './entries-scrub.sql.js';
import { type Leader, lockHead } from './leader-lock.js';

export interface KeyAddress {
  namespace: string;
  key: string;
}

export interface ScrubSlice {
  /** Keys that were looked at. */
  looked: number;
  wrong: KeyAddress[];
  /** From where to go on; undefined at the end. */
  last: KeyAddress | undefined;
}

export interface WrongEntry extends KeyAddress {
  class: 'missing' | 'mismatch' | 'extra';
  repaired: boolean;
  expected: unknown;
  found: unknown;
}

/** `config.entries` against the log that makes it: looked at by reads alone, repaired behind the lock of head. */
export class EntriesScrub {
  constructor(
    private readonly pool: PrimaryPool,
    private readonly reads: PrimaryPool,
  ) {}

  async slice(after: KeyAddress, limit: number, maxBytes: number): Promise<ScrubSlice> {
    const { rows } = await this.reads.query<KeyAddress & { class: string | null; looked: number }>({
      name: 'scrub-slice',
      text: SCRUB_SLICE,
      values: [after.namespace, after.key, limit, maxBytes],
    });
    const last = rows.at(-1);
    const wrong = rows.filter((row) => row.class !== null).map(({ namespace, key }) => ({ namespace, key }));
    const more = last && { namespace: last.namespace, key: last.key };
    return { looked: Number(last?.looked ?? 0), wrong, last: more };
  }

  /**
   * What is still wrong when nothing else can be committed; 'fenced' when somebody else leads. The log is read by a later
   * statement than the one that waits for head, which would see the log as it was before the wait.
   */
  setRight(
    leader: Leader,
    keys: readonly KeyAddress[],
    options: { repair: boolean },
  ): Promise<WrongEntry[] | 'fenced'> {
    return this.pool.transaction(async (tx) => {
      const version = await lockHead(tx, leader);
      if (version === undefined) return 'fenced';
      const { rows } = await tx.query<WrongEntry>({
        text: SET_RIGHT,
        values: [
          keys.map(({ namespace }) => namespace),
          keys.map(({ key }) => key),
          options.repair,
          version,
          leader.leaderId,
        ],
      });
      return rows;
    });
  }
}
