import { describe, expect, it } from 'vitest';
import type { Change } from '#libs/contracts';
import { chainAfter, checksumOf, GENESIS_CHAIN } from '#libs/replica';
import { FollowedLog } from './followed-log.js';
import { RecentChanges } from './recent-changes.js';

function change(version: number, previous: string, at: Partial<Change> = {}): Change {
  const value = Buffer.from(`v${version}`);
  const content = {
    version,
    term: 1,
    kind: 'change' as const,
    author: null,
    comment: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    operations: [
      {
        op: 'put' as const,
        namespace: 'app',
        key: 'k',
        value,
        contentType: 'text/plain',
        checksum: checksumOf(value),
      },
    ],
    ...at,
  };
  return { ...content, chain: chainAfter(previous, content) };
}

/** A history of versions 1..n, of one term unless told otherwise. */
function history(n: number, at: Partial<Change> = {}, after: readonly Change[] = []): Change[] {
  const all = [...after];
  for (let v = all.length + 1; v <= n; v++) all.push(change(v, all.at(-1)?.chain ?? GENESIS_CHAIN, at));
  return all;
}

const line = (changes: readonly Change[]) => ({ changes });
const headOf = ({ version, term, chain }: Change) => ({ head: { version, term, chain }, leaderId: 'n1' });
const N1 = { id: 'n1', leads: false };
const N2 = { id: 'n2', leads: false };
const LEADER = { id: 'n3', leads: true };
const told = (log: FollowedLog, changes: readonly Change[], from = N1) =>
  log
    .receive(line(changes), from)
    .flatMap((step): (number | string)[] =>
      step.do === 'tell' ? step.changes.map((c) => c.version) : [step.do],
    );

describe('the log that a gateway follows', () => {
  const all = history(10);

  it('tells each change once and in order, from node to node', () => {
    const log = new FollowedLog();
    expect(told(log, all.slice(0, 4))).toEqual([1, 2, 3, 4]);
    expect(told(log, all.slice(2, 7))).toEqual([5, 6, 7]); // the next node began a little before
    expect(told(log, all.slice(2, 5))).toEqual([]); // and this one is behind
    expect(log.version).toBe(7);
    expect(log.recent(5, 100, 1e6)).toHaveLength(2);
  });

  it('leaves a node that would leave a hole', () => {
    const log = new FollowedLog();
    told(log, all.slice(0, 2));
    expect(log.receive(line(all.slice(4)), N1)).toEqual([{ do: 'leave', why: 'gap' }]);
    expect(log.version).toBe(2);
  });

  it('begins anywhere, and learns the chain there from the first sign of life', () => {
    const log = new FollowedLog();
    log.begin(4);
    expect(log.recent(3, 10, 1e6)).toBe('older');
    expect(log.recent(4, 10, 1e6)).toEqual([]);
    log.receive(headOf(all[3] as Change), N1);
    const other = history(5, { author: 'another history', term: 1 });
    expect(log.receive(line(other.slice(4)), LEADER)[0]).toMatchObject({
      do: 'reset',
      reason: 'diverged',
      version: 5,
    });
  });

  it('follows the history of the higher term when two contradict each other', () => {
    const newer = history(6, { term: 2 }, all.slice(0, 3));
    const log = new FollowedLog();
    told(log, all.slice(0, 5));
    expect(log.receive(line(newer.slice(5)), N2)).toEqual([{ do: 'reset', version: 6, reason: 'diverged' }]);
    expect(log.receive(line(all.slice(6, 8)), N1)).toEqual([{ do: 'leave', why: 'other-history' }]);
    const next = history(7, { term: 2 }, newer);
    expect(told(log, next.slice(6))).toEqual([7]);
  });

  it('else believes the leader, or two nodes, but not one', () => {
    const newer = history(6, { author: 'b' }, all.slice(0, 3));
    const reset = [{ do: 'reset', version: 6, reason: 'diverged' }];
    const leave = [{ do: 'leave', why: 'other-history' }];
    const fresh = () => {
      const log = new FollowedLog();
      told(log, all.slice(0, 5));
      return log;
    };
    expect(fresh().receive(line(newer.slice(5)), LEADER)).toEqual(reset);
    const log = fresh();
    expect(log.receive(line(newer.slice(5)), N1)).toEqual(leave);
    expect(log.receive(line(newer.slice(5)), N1)).toEqual(leave);
    expect(log.receive(line(newer.slice(5)), N2)).toEqual(reset);
    const agreed = fresh();
    agreed.receive(line(newer.slice(5)), N1);
    agreed.receive(headOf(all[4] as Change), N2);
    expect(agreed.receive(line(newer.slice(5)), N1)).toEqual(leave);
  });

  it('tells what came before the contradiction in the same line', () => {
    const newer = history(6, { term: 2 }, all.slice(0, 4));
    const log = new FollowedLog();
    told(log, all.slice(0, 4));
    const wrong = { ...newer[5], chain: 'f'.repeat(64) } as Change;
    expect(log.receive(line([newer[4] as Change, wrong]), LEADER).map((step) => step.do)).toEqual([
      'tell',
      'reset',
    ]);
  });

  it('notices by a sign of life alone that its end is not the end of the history', () => {
    const log = new FollowedLog();
    told(log, all.slice(0, 5));
    const newer = history(5, { term: 2 }, all.slice(0, 3));
    expect(log.receive(headOf(all[4] as Change), N1)).toEqual([]);
    expect(log.receive(headOf(all[2] as Change), N2)).toEqual([]); // a node that is behind
    expect(log.receive(headOf(newer[4] as Change), LEADER)).toEqual([
      { do: 'reset', version: 5, reason: 'diverged' },
    ]);
  });

  it('takes a change that stands for lost versions as the next, unless it saw one of them', () => {
    const lost = (to: number) =>
      change(to, all[2]?.chain ?? '', { kind: 'lost', lost: { from: 4, to }, operations: [], term: 2 });
    const before = new FollowedLog();
    told(before, all.slice(0, 3));
    expect(told(before, [lost(6)])).toEqual([6]);
    const within = new FollowedLog();
    told(within, all.slice(0, 5));
    expect(within.receive(line([lost(6)]), N1)).toEqual([{ do: 'reset', version: 6, reason: 'diverged' }]);
    const level = new FollowedLog();
    told(level, all.slice(0, 6));
    expect(level.receive(headOf(lost(6)), LEADER)).toEqual([{ do: 'reset', version: 6, reason: 'diverged' }]);
  });

  it('passes on what a node says of its own history', () => {
    const log = new FollowedLog();
    told(log, all.slice(0, 5));
    expect(log.receive({ reset: { version: 90, reason: 'compacted' } }, N1)).toEqual([
      { do: 'reset', version: 90, reason: 'compacted' },
    ]);
    expect(log.version).toBe(90);
    expect(log.recent(5, 10, 1e6)).toBe('older');
  });
});

describe('recent changes', () => {
  it('are bounded in number and bytes, and know how far they reach back', () => {
    const recent = new RecentChanges({ versions: 100, bytes: 1e9 }, 0);
    const many = history(500);
    for (const one of many) recent.push(one);
    expect(recent.floor).toBe(400);
    expect(recent.after(399, 10, 1e9)).toBe('older');
    const page = recent.after(450, 10, 1e9);
    expect(page === 'older' ? page : page.map((c) => c.version)).toEqual([
      451, 452, 453, 454, 455, 456, 457, 458, 459, 460,
    ]);
    expect(recent.after(500, 10, 1e9)).toEqual([]);
    expect(recent.after(450, 10, 1)).toHaveLength(1);
    const small = new RecentChanges({ versions: 100, bytes: 2_000 }, 0);
    for (const one of many) small.push(one);
    expect(small.floor).toBeGreaterThan(490);
  });
});
