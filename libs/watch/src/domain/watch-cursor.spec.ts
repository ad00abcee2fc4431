import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '#libs/contracts';
import { SLOW_POLICY } from './slow-consumer.js';
import { WatchCursor, type WatchSend } from './watch-cursor.js';
import { concerns, watchFilter } from './watch-filter.js';

const filter = watchFilter([{ namespace: 'app', prefix: 'db/' }]);
const FULL = SLOW_POLICY.blockAboveBytes + 1;

function change(version: number, concerned: boolean, lost?: { from: number; to: number }): Change {
  return {
    version,
    term: 1,
    chain: '',
    kind: lost ? 'lost' : 'change',
    ...(lost ? { lost } : {}),
    author: null,
    comment: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    operations: lost ? [] : [{ op: 'delete', namespace: 'app', key: concerned ? 'db/x' : 'other' }],
  };
}

/** A page that leaves nothing out. */
const whole = (changes: Change[]) => ({ changes, through: changes.at(-1)?.version ?? 0 });
const log = (...concerned: boolean[]): Change[] => concerned.map((yes, i) => change(i + 1, yes));

function cursor(from: number | undefined, initial = false): WatchCursor {
  return new WatchCursor({ filter, from, initial });
}

describe('a watch cursor', () => {
  it('begins with a bookmark at the end of the log when nothing is said', () => {
    const it = cursor(undefined);
    expect(it.open(7)).toEqual([{ type: 'bookmark', version: 7 }]);
    expect(it.mode).toBe('live');
  });

  it('begins with a bookmark at `from`, then sends what followed', () => {
    const it = cursor(1);
    expect(it.open(3)).toEqual([{ type: 'bookmark', version: 1 }]);
    expect(it.mode).toBe('behind');
    const [, second, third] = log(true, false, true);
    expect(it.page(whole([second, third] as Change[]), 3)).toEqual([{ type: 'changes', changes: [third] }]);
    expect(it.mode).toBe('live');
  });

  it('sends comments, never a bookmark below `from`, while the log here ends below it', () => {
    const it = cursor(5);
    expect(it.open(3)).toEqual([{ type: 'comment' }]);
    expect(it.turn(4)).toEqual([{ type: 'comment' }]);
    expect(it.advanced(4)).toEqual([]);
    expect(it.advanced(6)).toEqual([{ type: 'bookmark', version: 5 }]);
    expect(it.mode).toBe('behind');
  });

  it('lists at one version first when asked to, then marks it', () => {
    const it = cursor(undefined, true);
    expect(it.open(4)).toEqual([]);
    expect(it.listingVersion).toBe(4);
    expect(it.listed(6)).toEqual([{ type: 'bookmark', version: 4 }]);
    expect(it.mode).toBe('behind');
  });

  it('lists at a later version when it has to begin again, and ends when it cannot go on', () => {
    const it = cursor(undefined, true);
    it.open(4);
    it.listAgain(6);
    expect(it.listingVersion).toBe(6);
    expect(it.listed(6)).toEqual([{ type: 'bookmark', version: 6 }]);
    expect(it.mode).toBe('live');
    const other = cursor(2, true);
    other.open(4);
    expect(other.listingFailed()).toEqual([{ type: 'end', version: 2, reason: 'slow' }]);
    expect([...other.listingFailed(), ...other.turn(9)]).toEqual([]);
  });

  it('keeps its position while the client does not read, and goes on from it', () => {
    const it = cursor(undefined);
    it.open(1);
    it.offered([change(2, true)], 2);
    it.written(FULL, 2, 0);
    expect(it.blocked).toBe(true);
    expect(it.offered([change(3, true)], 3)).toEqual([]);
    expect(it.turn(3)).toEqual([]);
    it.drained(3);
    expect(it.position).toBe(2);
    expect(it.page(whole([change(3, true)]), 3)).toEqual([{ type: 'changes', changes: [change(3, true)] }]);
  });

  it('is cut when it was blocked for too long, told where to resume', () => {
    const it = cursor(undefined);
    it.open(9);
    it.written(FULL, 9, 1_000);
    expect(it.judge(20, 1_000 + SLOW_POLICY.blockedForMs)).toEqual([]);
    expect(it.judge(20, 1_001 + SLOW_POLICY.blockedForMs)).toEqual([
      { type: 'end', version: 9, reason: 'slow' },
    ]);
    expect(it.mode).toBe('closed');
  });

  it('is cut when it is blocked and memory would soon not reach back to it', () => {
    const it = cursor(undefined);
    it.open(9);
    it.written(FULL, 9, 1_000);
    expect(it.judge(10 + SLOW_POLICY.blockedBehindVersions, 1_001)).toHaveLength(1);
  });

  it('is reset when the log is gone or was replaced, and says nothing afterwards', () => {
    const it = cursor(1);
    it.open(5);
    expect(it.compacted(5)).toEqual([{ type: 'reset', version: 5, reason: 'compacted' }]);
    expect([...it.turn(6), ...it.advanced(6), ...it.drain(6), ...it.diverged(6)]).toEqual([]);
  });

  it.each([
    ['the last lost version', 6],
    ['the version after the lost ones', 7],
  ])('is reset when it has seen what the database lost, and only then: told by %s', (_, version) => {
    const lost = change(version, false, { from: 4, to: 6 });
    const diverged = [{ type: 'reset', version: 9, reason: 'diverged' }];
    for (const from of version === 7 ? [4, 5, 6] : [4, 5]) {
      const it = cursor(from);
      it.open(9);
      expect(it.page(whole([lost]), 9)).toEqual(diverged);
    }
    const before = cursor(3);
    before.open(version);
    expect(before.page(whole([lost]), version)).toEqual([]);
    expect([before.mode, before.position]).toEqual(['live', version]);
    for (const from of [4, 5, 6]) {
      const waiting = cursor(from);
      waiting.open(3);
      expect(waiting.lost(lost, 9)).toEqual(diverged);
    }
    const later = cursor(7);
    later.open(3);
    expect(later.lost(lost, 9)).toEqual([]);
  });

  it('reads what lies between when the log leaps forward', () => {
    const it = cursor(undefined);
    it.open(3);
    it.leapt(5, 9);
    expect([it.mode, it.position]).toEqual(['behind', 5]);
  });

  it('says where it stood when the process stops', () => {
    const it = cursor(undefined);
    it.open(3);
    expect(it.drain(8)).toEqual([{ type: 'end', version: 8, reason: 'draining' }]);
  });

  it('sends a bookmark at every turn and a comment at every third', () => {
    const it = cursor(undefined);
    it.open(1);
    const turns = [it.turn(1), it.turn(2), it.turn(3)];
    expect(turns.flat()).toEqual([
      { type: 'bookmark', version: 1 },
      { type: 'bookmark', version: 2 },
      { type: 'comment' },
      { type: 'bookmark', version: 3 },
    ]);
  });
});

type Move =
  | { type: 'commit'; concerned: boolean[] }
  | { type: 'page'; limit: number }
  | { type: 'block' }
  | { type: 'read' }
  | { type: 'turn' }
  | { type: 'leap'; concerned: boolean[] };

const moves = fc.array(
  fc.oneof<fc.Arbitrary<Move>[]>(
    fc.record({
      type: fc.constant('commit' as const),
      concerned: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
    }),
    fc.record({ type: fc.constant('page' as const), limit: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ type: fc.constant('block' as const) }),
    fc.record({ type: fc.constant('read' as const) }),
    fc.record({ type: fc.constant('turn' as const) }),
    fc.record({
      type: fc.constant('leap' as const),
      concerned: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
    }),
  ),
  { maxLength: 60 },
);

/** Drives a cursor as a hub would and keeps what its client receives. */
class Client {
  readonly received: WatchSend[] = [];
  private readonly log: Change[];
  private readonly cursor: WatchCursor;

  constructor(known: boolean[], from: number | undefined) {
    this.log = log(...known);
    this.cursor = cursor(from);
    this.take(this.cursor.open(this.head));
  }

  get head(): number {
    return this.log.length;
  }

  get versions(): number[] {
    return this.received.flatMap((send) =>
      send.type === 'changes' ? send.changes.map((one) => one.version) : [],
    );
  }

  expected(from: number): number[] {
    return this.log.filter((one) => one.version > from && concerns(filter, one)).map((one) => one.version);
  }

  apply(move: Move): void {
    switch (move.type) {
      case 'commit': {
        const fresh = this.append(move.concerned);
        this.take(
          this.cursor.offered(
            fresh.filter((one) => concerns(filter, one)),
            this.head,
          ),
        );
        this.take(this.cursor.advanced(this.head));
        return;
      }
      case 'leap': {
        const previous = this.head;
        this.append(move.concerned);
        this.cursor.leapt(previous, this.head);
        this.take(this.cursor.advanced(this.head));
        return;
      }
      case 'page':
        this.page(move.limit);
        return;
      case 'block':
        this.cursor.written(FULL, this.head, 0);
        return;
      case 'read':
        this.cursor.drained(this.head);
        return;
      case 'turn':
        this.take(this.cursor.turn(this.head));
    }
  }

  settle(): void {
    this.cursor.drained(this.head);
    while (this.cursor.mode === 'behind') this.page(3);
    this.take(this.cursor.turn(this.head));
  }

  private page(limit: number): void {
    if (this.cursor.mode !== 'behind' || this.cursor.blocked) return;
    const { position } = this.cursor;
    this.take(this.cursor.page(whole(this.log.slice(position, position + limit)), this.head));
  }

  private append(concerned: boolean[]): Change[] {
    const fresh = concerned.map((yes, i) => change(this.head + i + 1, yes));
    this.log.push(...fresh);
    return fresh;
  }

  private take(sends: WatchSend[]): void {
    this.received.push(...sends);
  }
}

describe('whatever happens', () => {
  it('each matching version is delivered once and in order, and bookmarks keep their word', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 12 }),
        fc.option(fc.nat(20), { nil: undefined }),
        moves,
        (known, from, script) => {
          const begin = from ?? known.length;
          const client = new Client(known, from);
          for (const move of script) client.apply(move);
          while (client.head < begin) client.apply({ type: 'commit', concerned: [true] });
          client.settle();

          expect(client.versions).toEqual(client.expected(begin));
          let delivered = begin;
          for (const send of client.received) {
            if (send.type === 'bookmark') {
              expect(send.version).toBeGreaterThanOrEqual(delivered);
              delivered = send.version;
            }
            if (send.type === 'changes') {
              for (const one of send.changes) {
                expect(one.version).toBeGreaterThan(delivered);
                delivered = one.version;
              }
            }
          }
          const first = client.received.find((send) => send.type !== 'comment');
          expect(first).toEqual({ type: 'bookmark', version: begin });
        },
      ),
      { numRuns: 10_000 },
    );
  }, 60_000);
});
