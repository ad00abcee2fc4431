import { afterEach, describe, expect, it } from 'vitest';
import type { Change, Operation } from '#libs/contracts';
import { Problem } from '#libs/contracts';
import { systemClock } from '#libs/kernel';
import { SLOW_POLICY } from './domain/slow-consumer.js';
import { watchFilter } from './domain/watch-filter.js';
import type {
  ChangeSource,
  LogPage,
  LogQuery,
  PresentPage,
  PresentQuery,
  SourceReset,
} from './history/change-source.js';
import { answerPieces, type LongPollAnswer } from './http/long-polls.js';
import type { WatchSink } from './http/watch-sink.js';
import { WatchHub, type WatchHubOptions } from './watch-hub.js';

function put(key: string, text: string): Operation {
  return {
    op: 'put',
    namespace: 'app',
    key,
    value: Buffer.from(text),
    contentType: 'text/plain',
    checksum: 'sha256:0',
  };
}

function emptyChange(version: number): Change {
  return {
    version,
    term: 1,
    chain: '',
    kind: 'change',
    author: null,
    comment: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    operations: [],
  };
}

/** The whole log in memory, of which `recent` pretends to remember only what is above `floor`. */
class MemoryLog implements ChangeSource {
  readonly log: Change[] = [];
  floor = 0;
  readable = true;
  /** Where the cluster's history ends; undefined while nobody knows. */
  newest: number | undefined;
  reads = 0;
  forgotten = 0;
  /** The highest version that can no longer be listed. */
  expired = 0;
  private changeListener: (changes: readonly Change[]) => void = () => {};
  private resetListener: (reset: SourceReset) => void = () => {};

  get version(): number {
    return this.log.at(-1)?.version ?? 0;
  }

  commit(...operations: Operation[]): Change {
    const change: Change = { ...emptyChange(this.version + 1), operations };
    this.log.push(change);
    this.changeListener([change]);
    return change;
  }

  /** As when a database comes back without its latest changes. */
  lose(lost: { from: number; to: number }, version: number): void {
    const marker: Change = { ...emptyChange(version), kind: 'lost', lost };
    this.log.push(marker);
    this.changeListener([marker]);
  }

  /** As when a node loads a snapshot: the log is further on, and memory holds nothing of it. */
  leap(...batches: Operation[][]): void {
    const listener = this.changeListener;
    this.changeListener = () => {};
    for (const operations of batches) this.commit(...operations);
    this.changeListener = listener;
    this.floor = this.version;
    this.resetListener({ version: this.version, reason: 'compacted' });
  }

  diverge(version: number): void {
    this.log.length = version;
    this.resetListener({ version, reason: 'diverged' });
  }

  recent(after: number, limit: number): readonly Change[] | 'older' {
    return after < this.floor ? 'older' : this.above(after, limit);
  }

  async older({ after, limit }: LogQuery): Promise<LogPage | 'compacted'> {
    this.reads += 1;
    if (!this.readable) throw new Problem('storage-unavailable', 'down');
    if (after > 0 && after < this.forgotten) return 'compacted';
    const changes = this.above(after, limit);
    return { changes, through: changes.at(-1)?.version ?? after };
  }

  async newestVersion(): Promise<number | undefined> {
    return this.newest;
  }

  private above(after: number, limit: number): Change[] {
    return this.log.filter(({ version }) => version > after).slice(0, limit);
  }

  async present({ atVersion, prefix, after }: PresentQuery): Promise<PresentPage | 'expired'> {
    if (atVersion <= this.expired) return 'expired';
    const entries = new Map<string, PresentPage['entries'][number]>();
    for (const change of this.log.slice(0, atVersion)) {
      for (const operation of change.operations) {
        if (!operation.key.startsWith(prefix)) continue;
        if (operation.op === 'delete') entries.delete(operation.key);
        else
          entries.set(operation.key, {
            ...operation,
            version: change.version,
            updatedAt: change.createdAt,
          });
      }
    }
    const rest = [...entries.values()]
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .filter((entry) => after === undefined || entry.key > after);
    return { entries: rest.slice(0, 2), more: rest.length > 2 };
  }

  onChanges(listener: (changes: readonly Change[]) => void): () => void {
    this.changeListener = listener;
    return () => {
      this.changeListener = () => {};
    };
  }

  onReset(listener: (reset: SourceReset) => void): () => void {
    this.resetListener = listener;
    return () => {
      this.resetListener = () => {};
    };
  }
}

interface Event {
  event: string;
  id?: number;
  data: Record<string, unknown>;
}

/** A client that reads what it is told to. */
class MemorySink implements WatchSink {
  unreadBytes = 0;
  reading = true;
  ended = false;
  destroyed = false;
  readonly frames: Buffer[] = [];
  onWrite: () => void = () => {};

  write(frame: Buffer): void {
    this.frames.push(frame);
    this.onWrite();
    if (!this.reading) this.unreadBytes += frame.length;
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  get events(): Event[] {
    const text = Buffer.concat(this.frames).toString();
    return text
      .split('\n\n')
      .filter((block) => block.includes('event: '))
      .map((block) => {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        const id = field('id');
        return {
          event: field('event') ?? '',
          ...(id === undefined ? {} : { id: Number(id) }),
          data: JSON.parse(field('data') ?? '{}'),
        };
      });
  }

  get names(): string[] {
    return this.events.map(({ event, data }) => `${event} ${data.version}`);
  }
}

const hubs: WatchHub[] = [];

/** By this clock no delivery takes so long that the rest of it waits for the next turn. */
const STANDING = { monotonicMs: () => 0, wallMs: () => 0 };

function hubOver(source: ChangeSource, options: Partial<WatchHubOptions> = {}): WatchHub {
  const hub = new WatchHub({
    source,
    onError: (error) => {
      if (!(error instanceof Problem)) throw error;
    },
    ...options,
  });
  hubs.push(hub);
  return hub;
}

afterEach(() => {
  for (const hub of hubs.splice(0)) hub.stop();
});

const all = watchFilter([{ namespace: 'app', prefix: '' }]);
const db = watchFilter([{ namespace: 'app', prefix: 'db/' }]);
const settle = () => new Promise((resolve) => setTimeout(resolve, 20));
/** The answer to a long poll as its client reads it. */
const said = (answer: LongPollAnswer) =>
  JSON.parse(Buffer.concat(answerPieces(answer)).toString()) as {
    version: number;
    changes: { version: number }[];
  };
const eventually = <T>(what: () => T) => expect.poll(what, { timeout: 10_000, interval: 5 });

describe('a watch hub', { timeout: 20_000 }, () => {
  it('offers each watcher what concerns it, whole, with its namespace', () => {
    const log = new MemoryLog();
    const hub = hubOver(log, { clock: STANDING });
    const [every, some] = [new MemorySink(), new MemorySink()];
    hub.open({ filter: all, from: undefined, initial: false }, every);
    hub.open({ filter: db, from: undefined, initial: false }, some);
    log.commit(put('db/host', 'a'), put('web', 'b'), put('db/port', 'c'));
    log.commit(put('web', 'd'));
    expect(every.names).toEqual(['bookmark 0', 'change 1', 'change 2']);
    expect(some.names).toEqual(['bookmark 0', 'change 1']);
    expect(some.events[1]).toMatchObject({
      id: 1,
      data: {
        version: 1,
        term: 1,
        operations: [
          { op: 'put', namespace: 'app', key: 'db/host', value: 'a' },
          { op: 'put', namespace: 'app', key: 'db/port', value: 'c' },
        ],
      },
    });
  });

  it('encodes an event once for all who share a filter', () => {
    const log = new MemoryLog();
    const hub = hubOver(log, { clock: STANDING });
    const sinks = Array.from({ length: 3 }, () => new MemorySink());
    for (const sink of sinks) hub.open({ filter: db, from: undefined, initial: false }, sink);
    log.commit(put('db/host', 'a'));
    const last = sinks.map((sink) => sink.frames.at(-1));
    expect(last[1]).toBe(last[0]);
    expect(last[2]).toBe(last[0]);
  });

  it('catches up from memory, then from the whole log, then goes on live', async () => {
    const log = new MemoryLog();
    for (let i = 0; i < 1_200; i++) log.commit(put(i % 2 ? 'db/x' : 'web', `${i}`));
    log.floor = 900;
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: db, from: 100, initial: false }, sink);
    const versions = () => sink.events.filter(({ event }) => event === 'change').map(({ id }) => id);
    const expected = Array.from({ length: 1_100 }, (_, i) => 101 + i).filter((version) => version % 2 === 0);
    await eventually(versions).toEqual(expected);
    log.commit(put('db/x', 'live'));
    expect(versions()).toEqual([...expected, 1_201]);
  });

  it('reads a page of the whole log once for many watchers that stand at the same place', async () => {
    const log = new MemoryLog();
    for (let i = 0; i < 50; i++) log.commit(put('db/x', `${i}`));
    log.floor = 50;
    const hub = hubOver(log);
    const sinks = Array.from({ length: 40 }, () => new MemorySink());
    for (const sink of sinks) hub.open({ filter: db, from: 10, initial: false }, sink);
    await eventually(() => sinks.every((sink) => sink.names.length === 41)).toBe(true);
    expect(log.reads).toBe(1);
  });

  it('sends nothing to a client that does not read, then what it missed from the log', async () => {
    const log = new MemoryLog();
    const hub = hubOver(log);
    const sink = new MemorySink();
    const handle = hub.open({ filter: all, from: undefined, initial: false }, sink);
    sink.reading = false;
    const big = 'x'.repeat(SLOW_POLICY.blockAboveBytes);
    for (let i = 0; i < 20; i++) log.commit(put('a', big));
    expect(sink.names).toEqual(['bookmark 0', 'change 1']);
    sink.reading = true;
    sink.unreadBytes = 0;
    handle.drained();
    const received = () => sink.events.filter(({ event }) => event === 'change').map(({ id }) => id);
    await eventually(() => received().length).toBe(20);
    expect(received()).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('cuts a client that has not read for too long, and says where to resume', async () => {
    const log = new MemoryLog();
    const ended: string[] = [];
    const hub = hubOver(log, {
      slowPolicy: { ...SLOW_POLICY, blockedForMs: 100 },
      onEnded: (reason) => ended.push(reason),
    });
    const sink = new MemorySink();
    hub.open({ filter: all, from: undefined, initial: false }, sink);
    sink.reading = false;
    log.commit(put('a', 'x'.repeat(SLOW_POLICY.blockAboveBytes)));
    log.commit(put('a', 'y'));
    await eventually(() => sink.events.at(-1)).toEqual({
      event: 'end',
      data: { version: 1, reason: 'slow' },
    });
    expect(sink.ended).toBe(true);
    expect(ended).toEqual(['slow']);
    expect(hub.counts.watchers).toBe(0);
    await eventually(() => sink.destroyed).toBe(true);
  });

  it('lists the present values of one version, then marks it, then goes on', async () => {
    const log = new MemoryLog();
    for (const key of ['db/c', 'db/a', 'web', 'db/b', 'db/d']) log.commit(put(key, key));
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: db, from: undefined, initial: true }, sink);
    log.commit(put('db/a', 'new'));
    await eventually(() => sink.names).toEqual([
      'put 5',
      'put 5',
      'put 5',
      'put 5',
      'bookmark 5',
      'change 6',
    ]);
    expect(sink.events.slice(0, 4).map(({ data }) => data.key)).toEqual(['db/a', 'db/b', 'db/c', 'db/d']);
    expect(sink.events[0]?.data).toMatchObject({ value: 'db/a', keyVersion: 2 });
  });

  it('begins a listing again when memory no longer reaches back to its version', async () => {
    const log = new MemoryLog();
    log.commit(put('db/a', '1'));
    log.expired = 1;
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: db, from: undefined, initial: true }, sink);
    log.leap([put('db/a', '2')], [put('db/b', '3')]);
    await eventually(() => sink.names).toEqual(['put 3', 'put 3', 'bookmark 3']);
    log.commit(put('db/a', '4'));
    expect(sink.names.at(-1)).toBe('change 4');
  });

  it('ends a stream whose listing cannot go on: no history is gone', async () => {
    const log = new MemoryLog();
    for (const key of ['a', 'b', 'c', 'd']) log.commit(put(`db/${key}`, key));
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: db, from: undefined, initial: true }, sink);
    sink.onWrite = () => {
      if (sink.names.includes('put 4')) log.expired = 4;
    };
    await eventually(() => sink.events.at(-1)).toEqual({
      event: 'end',
      data: { version: 4, reason: 'slow' },
    });
    expect(sink.names).toEqual(['put 4', 'put 4', 'end 4']);
  });

  it('ends a stream whose listing can never begin', async () => {
    const log = new MemoryLog();
    log.commit(put('db/a', '1'));
    log.expired = 1;
    const sink = new MemorySink();
    hubOver(log).open({ filter: db, from: undefined, initial: true }, sink);
    await eventually(() => sink.names).toEqual(['end 1']);
  });

  it.each([
    ['is told by the last of them', 6],
    ['comes after them', 7],
  ])('resets whoever stands at a version that the database lost, when that %s', async (_, version) => {
    const log = new MemoryLog();
    for (let i = 0; i < 3; i++) log.commit(put('a', `${i}`));
    const hub = hubOver(log);
    const open = (from: number) => {
      const sink = new MemorySink();
      hub.open({ filter: all, from, initial: false }, sink);
      return sink;
    };
    const waiting = [4, 5, 6].map(open);
    const level = open(3);
    log.lose({ from: 4, to: 6 }, version);
    for (const sink of waiting) expect(sink.names).toEqual([`reset ${version}`]);
    expect(level.names).toEqual(['bookmark 3']);
    for (const from of version === 7 ? [4, 5, 6] : [4, 5]) {
      const late = open(from);
      await eventually(() => late.events.at(-1)).toEqual({
        event: 'reset',
        data: { version, reason: 'diverged' },
      });
      const poll = hub.poll({ filter: all, from }, 1_000, new AbortController().signal);
      await expect(poll).rejects.toMatchObject({ members: { version, reason: 'diverged' } });
    }
  });

  it('waits for a version that is not here yet', async () => {
    const log = new MemoryLog();
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: all, from: 2, initial: false }, sink);
    log.commit(put('a', '1'));
    expect(sink.names).toEqual([]);
    expect(Buffer.concat(sink.frames).toString()).toContain('\n:\n\n');
    log.commit(put('a', '2'));
    log.commit(put('a', '3'));
    await eventually(() => sink.names).toEqual(['bookmark 2', 'change 3']);
  });

  it('never resets because memory is short, even when the node loaded a snapshot', async () => {
    const log = new MemoryLog();
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: all, from: undefined, initial: false }, sink);
    log.commit(put('a', '1'));
    log.leap([put('a', '2')], [put('a', '3')]);
    await settle();
    log.commit(put('a', '4'));
    await eventually(() => sink.names).toEqual([
      'bookmark 0',
      'change 1',
      'change 2',
      'change 3',
      'change 4',
    ]);
  });

  it('resets when the log itself no longer reaches back', async () => {
    const log = new MemoryLog();
    for (let i = 0; i < 10; i++) log.commit(put('a', `${i}`));
    log.floor = 8;
    log.forgotten = 5;
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: all, from: 3, initial: false }, sink);
    await eventually(() => sink.events.at(-1)).toEqual({
      event: 'reset',
      data: { version: 10, reason: 'compacted' },
    });
    expect(sink.ended).toBe(true);
  });

  it('resets everybody when the history turned out to be another', () => {
    const log = new MemoryLog();
    for (let i = 0; i < 5; i++) log.commit(put('a', `${i}`));
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: all, from: undefined, initial: false }, sink);
    log.diverge(3);
    expect(sink.names).toEqual(['bookmark 5', 'reset 3']);
    expect(hub.counts.watchers).toBe(0);
  });

  it('report 7: resets those who are ahead of the database, at once by much, after a while by little', async () => {
    const log = new MemoryLog();
    log.commit(put('a', '1'));
    let nowMs = 0;
    const hub = hubOver(log, { clock: { ...systemClock, monotonicMs: () => nowMs } });
    const [little, much] = [new MemorySink(), new MemorySink()];
    hub.open({ filter: all, from: 5, initial: false }, little);
    hub.open({ filter: all, from: 3134, initial: false }, much);
    await settle();
    expect([little.names, much.names]).toEqual([[], []]); // the database says nothing
    log.newest = 1;
    await eventually(() => much.names).toEqual(['reset 1']);
    expect(little.names).toEqual([]);
    nowMs = 10_000;
    await eventually(() => little.names).toEqual(['reset 1']);
  });

  it('tries again when the whole log could not be read in mid-stream', async () => {
    const log = new MemoryLog();
    for (let i = 0; i < 5; i++) log.commit(put('a', `${i}`));
    log.floor = 5;
    log.readable = false;
    const hub = hubOver(log);
    await expect(hub.admit({ from: 1, filter: all })).rejects.toMatchObject({ code: 'storage-unavailable' });
    const sink = new MemorySink();
    hub.open({ filter: all, from: 1, initial: false }, sink);
    await settle();
    log.readable = true;
    await eventually(() => sink.names.filter((name) => name.startsWith('change'))).toEqual([
      'change 2',
      'change 3',
      'change 4',
      'change 5',
    ]);
  });

  it('tells everybody to go elsewhere when it drains, and admits nobody after', async () => {
    const log = new MemoryLog();
    log.commit(put('a', '1'));
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: all, from: undefined, initial: false }, sink);
    hub.drain();
    expect(sink.events.at(-1)).toEqual({ event: 'end', data: { version: 1, reason: 'draining' } });
    await expect(hub.admit({ from: undefined, filter: all })).rejects.toMatchObject({
      code: 'shutting-down',
    });
  });

  it('forgets a client that left', () => {
    const log = new MemoryLog();
    const hub = hubOver(log);
    const sink = new MemorySink();
    hub.open({ filter: all, from: undefined, initial: false }, sink).left();
    log.commit(put('a', '1'));
    expect(sink.names).toEqual(['bookmark 0']);
    expect(hub.counts).toEqual({ watchers: 0, blocked: 0, longPolls: 0 });
  });

  it('admits only as many as it can take', async () => {
    const hub = hubOver(new MemoryLog(), { maxWatchers: 1 });
    hub.open({ filter: all, from: undefined, initial: false }, new MemorySink());
    await expect(hub.admit({ from: undefined, filter: all })).rejects.toMatchObject({ code: 'cluster-busy' });
  });
});

describe('a long poll', () => {
  const signal = new AbortController().signal;

  it('answers at once with what has come since', async () => {
    const log = new MemoryLog();
    for (let i = 0; i < 4; i++) log.commit(put(i % 2 ? 'db/x' : 'web', `${i}`));
    const answer = said(await hubOver(log).poll({ filter: db, from: 0 }, 1_000, signal));
    expect(answer.version).toBe(4);
    expect(answer.changes.map(({ version }) => version)).toEqual([2, 4]);
  });

  it('waits for a change that concerns it', async () => {
    const log = new MemoryLog();
    const hub = hubOver(log);
    const answer = hub.poll({ filter: db, from: undefined }, 5_000, signal);
    await eventually(() => hub.counts.longPolls).toBe(1);
    log.commit(put('web', '1'));
    log.commit(put('db/x', '2'));
    expect(said(await answer)).toMatchObject({ version: 2, changes: [{ version: 2 }] });
    expect(hub.counts.longPolls).toBe(0);
  });

  it('answers with the end of the log when nothing came, never below `from`', async () => {
    const log = new MemoryLog();
    const hub = hubOver(log);
    const [level, ahead] = [
      hub.poll({ filter: db, from: 0 }, 60, signal),
      hub.poll({ filter: db, from: 9 }, 60, signal),
    ];
    log.commit(put('web', '1'));
    expect(await level).toEqual({ version: 1, changes: [] });
    expect(await ahead).toEqual({ version: 9, changes: [] });
  });

  it('is refused when the history is gone or was replaced', async () => {
    const log = new MemoryLog();
    for (let i = 0; i < 10; i++) log.commit(put('a', `${i}`));
    log.floor = 8;
    log.forgotten = 5;
    const hub = hubOver(log);
    await expect(hub.poll({ filter: all, from: 3 }, 1_000, signal)).rejects.toMatchObject({
      code: 'version-compacted',
      members: { version: 10, reason: 'compacted' },
    });
    const waiting = hub.poll({ filter: all, from: 10 }, 1_000, signal);
    await settle();
    log.diverge(9);
    await expect(waiting).rejects.toMatchObject({ members: { reason: 'diverged' } });
  });
});
