import type { PrimaryPool } from '#libs/postgres';
import type { EntryVerdict, KeyContent } from '../domain/entry-repair.js';
import type { KeyAddress } from '../domain/log.types.js';
import { type LeaderFence, lockHead } from './head-lock.js';
import { LOOK_AT, SCRUB_SLICE, SET_RIGHT } from './sql/entries-scrub.sql.js';

export interface ScrubSlice {
  /** Keys that were looked at. */
  looked: number;
  wrong: KeyAddress[];
  /** From where to go on; undefined at the end. */
  last: KeyAddress | undefined;
}

/** As the log (`expected`) and `config.entries` (`found`) have a key that differs; null = nothing. */
export interface DifferingEntry extends KeyAddress {
  class: 'missing' | 'mismatch' | 'extra';
  expected: KeyContent | null;
  found: KeyContent | null;
}

export interface WrongEntry extends DifferingEntry {
  verdict: EntryVerdict;
  repaired: boolean;
}

/** What is to be done about each, in the same order; head is at `version` and stays there meanwhile. */
export type JudgeEntries = (differing: readonly DifferingEntry[], version: number) => EntryVerdict[];

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
    leader: LeaderFence,
    keys: readonly KeyAddress[],
    judge: JudgeEntries,
  ): Promise<WrongEntry[] | 'fenced'> {
    return this.pool.transaction(async (tx) => {
      const version = await lockHead(tx, leader);
      if (version === undefined) return 'fenced';
      const { rows: differing } = await tx.query<DifferingEntry>({ text: LOOK_AT, values: columnsOf(keys) });
      if (differing.length === 0) return [];
      const verdicts = judge(differing, version);
      const { rows } = await tx.query<WrongEntry>({
        text: SET_RIGHT,
        values: [...columnsOf(differing), verdicts, version, leader.leaderId],
      });
      return rows;
    });
  }
}

function columnsOf(keys: readonly KeyAddress[]): [namespaces: string[], keys: string[]] {
  return [keys.map(({ namespace }) => namespace), keys.map(({ key }) => key)];
}
