import { expect, it } from 'vitest';
import type { Change } from '#libs/contracts';
import { LogSources, type Pulled } from './log-sources.js';

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
  sources.discardPrefetch();
  log.history = 'second';
  expect(first(await sources.fromLog(PAGE))).toMatchObject({ author: 'second' });
});

it('finding 18c: what is too large for the bus is asked of nodes that are ahead before the database', async () => {
  const change = { version: 8 } as Change;
  const asked: string[] = [];
  const peer = (id: string, version: number) => ({ id, address: id, version });
  const answer = async (source: string, changes: Change[]) => {
    asked.push(source);
    return changes;
  };
  const bus = { connected: true, request: async () => ({ changes: [] }) };
  const store = { ownLog: { changesAfter: () => answer('log', [change]) } };
  const peers = { others: () => [peer('ahead-1', 8), peer('ahead-2', 9), peer('behind', 7)] };
  const client = { log: (address: string) => answer(address, address === 'ahead-2' ? [change] : []) };
  const sources = new LogSources(
    ...([bus, store, peers, client, { debug: () => undefined }] as unknown as Parts),
  );
  const take = (pulled: Pulled) => 'changes' in pulled && pulled.changes.length > 0;
  expect(await sources.pull(7, 1, take)).toBe(true);
  expect(asked.at(-1)).toBe('ahead-2');
  expect(asked).not.toContain('log');
  // Far behind, the database's large pages are the quicker way.
  asked.length = 0;
  expect(await sources.pull(7, 5_000, take)).toBe(true);
  expect(asked).toEqual(['log']);
});
