import { expect, it } from 'vitest';
import type { Change } from '#libs/contracts';
import { LogSources } from './log-sources.js';

const PAGE = 1_000;

/** A log of which only versions and authors count, and in which a failover may put another history. */
class Log {
  history = 'first';
  asked: number[] = [];

  async changesAfter(after: number): Promise<Change[]> {
    this.asked.push(after);
    return Array.from(
      { length: PAGE },
      (_, i) => ({ version: after + 1 + i, author: this.history }) as Change,
    );
  }
}

const sourcesOver = (log: Log) => new LogSources(...([{}, { ownLog: log }, {}, {}, {}] as unknown as Parts));
type Parts = ConstructorParameters<typeof LogSources>;
const first = (page: Change[] | 'compacted') => (page === 'compacted' ? page : page[0]);

it('reads one page ahead', async () => {
  const log = new Log();
  const sources = sourcesOver(log);
  await sources.fromLog(0);
  expect(log.asked).toEqual([0, PAGE]);
  expect(first(await sources.fromLog(PAGE))).toMatchObject({ version: PAGE + 1 });
  expect(log.asked).toEqual([0, PAGE, 2 * PAGE]);
});

it('gives nothing to the next walk that was read for the one before: the database may have lost it', async () => {
  const log = new Log();
  const sources = sourcesOver(log);
  await sources.fromLog(0);
  sources.forgetAhead();
  log.history = 'second';
  expect(first(await sources.fromLog(PAGE))).toMatchObject({ author: 'second' });
});
