import { compareUtf8 } from '#libs/kernel';

/** The database has another history than when the reading began: what was read proves nothing. */
export class HistoryReplaced extends Error {
  override readonly name = 'HistoryReplaced';
}

export interface WalkedKey {
  namespace: string;
  key: string;
}
export interface HistoryMark {
  version: number;
  chain: string;
}

/** What a walk asks of the database: each call one statement, of one moment. */
export interface WalkSource<T extends WalkedKey & { version: number }> {
  /** The next entries after a key in the order of namespace and key, none at the end, and where head then stood. */
  page(after: WalkedKey): Promise<{ head: HistoryMark; entries: T[] }>;
  /**
   * The next keys after a key, in the same order, that changes after `from` and up to `to` touched, none at the end: with
   * the first of these changes, and the key's entry as its last operation up to `from` made it.
   */
  touched(
    range: { from: number; to: number },
    after: WalkedKey,
  ): Promise<(WalkedKey & { touchedAt: number; entry: T | undefined })[]>;
  /** The chains that the log has at these versions. */
  chains(versions: readonly number[]): Promise<ReadonlyMap<number, string>>;
}

/** A page: the keys up to `upTo`, all the rest when undefined, as they were when head was at `version`. */
interface PageRead {
  upTo: WalkedKey | undefined;
  version: number;
}

const BEGINNING: WalkedKey = { namespace: '', key: '' };

/**
 * The state at version p, out of pages that were read at versions p and later, while it is written to; each entry once.
 * Every page is a statement of its own: a snapshot held for the whole reading would keep the database from cleaning up
 * the one head row, which every commit updates.
 *
 * A row of version <= p that a page has stood there at p: had it changed since, its version would be greater. What is
 * missing are the keys that a change after p touched before their page was read: their rows are younger, or gone. Of
 * these the log knows what they were at p: their last operation up to p.
 *
 * Example, p = 10. The page with a and b is read at 12, the one with c and d at 15. Change 11 put a, 12 deleted b, 13 put
 * a again, 14 put c, 16 put d. Page one has a@11: not counted; b is gone. Page two has c@14: not counted; d@7: counted.
 * First touched after 10 were a at 11, b at 12, c at 14, and their pages were read later: by the log they were a@3, b@9,
 * and c, without an operation up to 10, was not there. d was touched at 16, after its page: it is counted already.
 *
 * That all pages and the log are of one history is proved by the chain that head had when each page was read: the log must
 * have the same chains at these versions. Rejects with HistoryReplaced, after the last page, when it has not.
 */
export async function* walkPinned<T extends WalkedKey & { version: number }>(
  pin: HistoryMark,
  source: WalkSource<T>,
): AsyncGenerator<T[], void> {
  const reads: PageRead[] = [];
  const heads = new Map([[pin.version, pin.chain]]);
  for (let after: WalkedKey | undefined = BEGINNING; after !== undefined; ) {
    const { head, entries }: { head: HistoryMark; entries: T[] } = await source.page(after);
    note(heads, head);
    after = entries.at(-1);
    reads.push({ upTo: after, version: head.version });
    const standing = entries.filter(({ version }) => version <= pin.version);
    if (standing.length > 0) yield standing;
  }
  yield* changedBeforeRead(pin.version, reads, source);
  await demandOneHistory(pin.version, heads, source);
}

/** What the pages do not have. They and the keys that were touched are in one order. */
async function* changedBeforeRead<T extends WalkedKey & { version: number }>(
  from: number,
  reads: readonly PageRead[],
  source: WalkSource<T>,
): AsyncGenerator<T[], void> {
  const to = reads.reduce((newest, { version }) => Math.max(newest, version), from);
  if (to === from) return;
  let index = 0;
  for (let after: WalkedKey | undefined = BEGINNING; after !== undefined; ) {
    const touched: Awaited<ReturnType<WalkSource<T>['touched']>> = await source.touched({ from, to }, after);
    const missing: T[] = [];
    for (const { namespace, key, touchedAt, entry } of touched) {
      while (isAfter({ namespace, key }, reads[index]?.upTo)) index++;
      if (entry !== undefined && touchedAt <= (reads[index]?.version ?? to)) missing.push(entry);
    }
    if (missing.length > 0) yield missing;
    after = touched.at(-1);
  }
}

async function demandOneHistory<T extends WalkedKey & { version: number }>(
  from: number,
  heads: ReadonlyMap<number, string>,
  source: WalkSource<T>,
): Promise<void> {
  const logged = await source.chains([...heads.keys()]);
  for (const [version, chain] of heads) {
    const isOfLog = version === 0 || logged.get(version) === chain;
    if (version < from || !isOfLog)
      throw new HistoryReplaced(`the history at version ${version} is another than when it was read`);
  }
}

function note(heads: Map<number, string>, { version, chain }: HistoryMark): void {
  if ((heads.get(version) ?? chain) !== chain)
    throw new HistoryReplaced(`version ${version} was of two histories within one reading`);
  heads.set(version, chain);
}

function isAfter(key: WalkedKey, upTo: WalkedKey | undefined): boolean {
  if (upTo === undefined) return false;
  return (compareUtf8(key.namespace, upTo.namespace) || compareUtf8(key.key, upTo.key)) > 0;
}
