import { afterEach, describe, expect, it } from 'vitest';
import { type Change, LIMITS } from '#libs/contracts';
import { watchFilter } from './domain/watch-filter.js';
import type { ChangeSource } from './history/change-source.js';
import { answerPieces } from './http/long-polls.js';
import { WatchHub } from './watch-hub.js';

const LARGE = 100_000;

function changeOf(version: number, namespaces: string[], sizeBytes: number, text = 'x'): Change {
  const value = Buffer.alloc(sizeBytes, text);
  const put = { op: 'put' as const, key: 'k', value, contentType: 'text/plain', checksum: 'sha256:0' };
  const operations = namespaces.map((namespace, index) => ({ ...put, key: `k${index}`, namespace }));
  const about = { term: 1, chain: '', kind: 'change' as const, author: null, comment: null };
  return { version, ...about, createdAt: '2026-01-01T00:00:00.000Z', operations };
}

/** A log in memory that grows when it is told to. */
function growingLog() {
  const log: Change[] = [];
  let listener: (changes: readonly Change[]) => void = () => {};
  const source: ChangeSource = {
    get version() {
      return log.length;
    },
    recent: (after, limit) => log.slice(after, after + limit),
    older: async () => 'compacted',
    newestVersion: async () => undefined,
    present: async () => 'expired',
    onChanges: (told) => {
      listener = told;
      return () => {};
    },
    onReset: () => () => {},
  };
  const grow = (...changes: Change[]) => {
    log.push(...changes);
    listener(changes);
  };
  return { source, grow };
}

let hub: WatchHub;
afterEach(() => hub.stop());

const filterOf = (i: number) =>
  watchFilter([
    { namespace: 'common', prefix: '' },
    { namespace: `app-${i}`, prefix: '' },
  ]);

/** The buffers of large events that 200 watchers of a common namespace and their own are sent. */
function openWatchers(frames: Set<Buffer>): () => number {
  let sent = 0;
  for (let i = 0; i < 200; i++) {
    const write = (frame: Buffer) => {
      if (frame.length < LARGE) return;
      sent += 1;
      frames.add(frame);
    };
    const sink = { unreadBytes: 0, write, end() {}, destroy() {} };
    hub.open({ filter: filterOf(i), from: 0, initial: false }, sink);
  }
  return () => sent;
}

const eventually = <T>(what: () => T) => expect.poll(what, { timeout: 10_000, interval: 5 });

describe('finding 8: one change is encoded once however many watch', () => {
  it('for 200 watchers of a common namespace and their own, live', async () => {
    const { source, grow } = growingLog();
    hub = new WatchHub({ source, onError: () => {} });
    const frames = new Set<Buffer>();
    const sent = openWatchers(frames);
    grow(changeOf(1, ['common'], LIMITS.valueBytes), changeOf(2, ['common'], LIMITS.valueBytes));
    await eventually(sent).toBe(400);
    expect(frames.size).toBe(2);
  });

  it('for those who catch up with the longest events', async () => {
    const { source, grow } = growingLog();
    grow(changeOf(1, Array<string>(4).fill('common'), LIMITS.valueBytes, '"'));
    hub = new WatchHub({ source, onError: () => {} });
    const frames = new Set<Buffer>();
    const sent = openWatchers(frames);
    await eventually(sent).toBe(200);
    expect(frames.size).toBe(1);
    expect([...frames][0]?.length).toBeGreaterThan(8 * LIMITS.valueBytes);
  });

  it('for 200 long polls, which answer with the same bytes', async () => {
    const { source, grow } = growingLog();
    hub = new WatchHub({ source, onError: () => {} });
    const { signal } = new AbortController();
    const polls = Array.from({ length: 200 }, (_, i) =>
      hub.poll({ filter: filterOf(i), from: 0 }, 5_000, signal),
    );
    grow(changeOf(1, ['common', 'other'], LIMITS.valueBytes));
    const answers = await Promise.all(polls);
    const large = answers.flatMap((answer) => answerPieces(answer).filter(({ length }) => length > LARGE));
    expect(large).toHaveLength(200);
    expect(new Set(large).size).toBe(1);
    const [answer] = answers.map((one) => JSON.parse(Buffer.concat(answerPieces(one)).toString()));
    expect(answer).toMatchObject({ version: 1, changes: [{ operations: [{ namespace: 'common' }] }] });
  });

  it('and nobody gets operations that he did not ask for', async () => {
    const { source, grow } = growingLog();
    hub = new WatchHub({ source, onError: () => {} });
    const texts: string[] = [];
    for (const i of [0, 1, 2]) {
      const write = (frame: Buffer) => {
        texts[i] = `${texts[i] ?? ''}${frame.toString()}`;
      };
      hub.open(
        { filter: filterOf(i), from: 0, initial: false },
        { unreadBytes: 0, write, end() {}, destroy() {} },
      );
    }
    grow(changeOf(1, ['common', 'app-0', 'app-1'], 1), changeOf(2, ['app-1'], 1));
    await eventually(() =>
      texts.map((text) => [...text.matchAll(/"namespace":"([^"]+)"/g)].map(([, ns]) => ns)),
    ).toEqual([['common', 'app-0'], ['common', 'app-1', 'app-1'], ['common']]);
  });

  it('is offered in slices: those whose turn has not come are served after others had theirs', async () => {
    const { source, grow } = growingLog();
    let nowMs = 0;
    // Each look at the clock takes a millisecond.
    const clock = { monotonicMs: () => nowMs++, wallMs: () => 0 };
    hub = new WatchHub({ source, clock, onError: () => {} });
    const sent = openWatchers(new Set());
    grow(changeOf(1, ['common'], LARGE));
    expect(sent()).toBeLessThan(20);
    await eventually(sent).toBe(200);
  });
});
