import { describe, expect, it } from 'vitest';
import type { ConsistencyResult, Difference, KeyState } from '#libs/contracts';
import { classify } from './comparison/classification.js';
import { nameOf } from './comparison/pin.js';
import type { NodeOutcome } from './comparison/round.js';
import { ConsistencyStates } from './consistency-states.js';
import { truthOf, witnessed } from './reference/reference.js';
import { inPieces, planRepair } from './repair-plan.js';
import { shareOf } from './share.js';

const state = (version: number): KeyState => ({
  version,
  contentType: 'text/plain',
  checksum: `sha256:${version}`,
});

describe('the truth of a key', () => {
  const operation = (logged: number | 'deleted' | null) => {
    if (logged === null) return null;
    return logged === 'deleted' ? { version: 3, state: null } : { version: logged, state: state(logged) };
  };
  /** The entry is what the latest operation made of it, unless something else is said. */
  const rows = (
    logged: number | 'deleted' | null,
    entry: number | null,
    latest: number | 'deleted' | null = entry ?? (logged === null ? null : 'deleted'),
  ) => ({
    ...{ namespace: 'app', key: 'k', entry: entry === null ? null : state(entry) },
    ...{ logged: operation(logged), latest: operation(latest) },
  });

  it.each([
    ['the last operation of the log', rows(4, 9), true, { state: 'present', expected: state(4), by: 'log' }],
    ['the log, not the row', rows(4, 3), false, { state: 'present', expected: state(4), by: 'log' }],
    ['a tombstone', rows('deleted', null), true, { state: 'absent' }],
    ['no operation in a whole log', rows(null, 9), true, { state: 'absent' }],
    [
      'the row where the log is compacted',
      rows(null, 5),
      false,
      { state: 'present', expected: state(5), by: 'row' },
    ],
    ['nothing, when the row is younger', rows(null, 6), false, { state: 'unknown' }],
    ['nothing, when there is no row', rows(null, null), false, { state: 'unknown' }],
  ])('is %s', (_what, given, isWhole, expected) => {
    expect(truthOf(given, 5, isWhole)).toEqual(expected);
  });

  it.each([
    ['the operation of an entry is lost', rows(null, 3, null), { state: 'absent', disputed: true }],
    [
      'the latest operation of an entry is lost',
      rows(2, 3, 2),
      { state: 'present', expected: state(2), by: 'log', disputed: true },
    ],
    [
      'an entry is lost, or its deletion from the log',
      rows(2, null, 2),
      { state: 'present', expected: state(2), by: 'log', disputed: true },
    ],
  ])('finding 7: it is disputed where %s', (_what, given, expected) => {
    const truth = truthOf(given, 5, true);
    expect(truth).toEqual(expected);
    const truths = new Map([[nameOf(given), { namespace: 'app', key: 'k', truth }]]);
    const listed = (version: number) => [{ namespace: 'app', key: 'k', ...state(version) }];
    // Whatever else a node says, it is neither found wrong nor right; and so it is not changed.
    expect(classify(listed(3), truths)).toEqual({ differences: [], undecided: 1 });
    const asLogged = truth.state === 'present' ? listed(2) : [];
    expect(classify(asLogged, truths)).toEqual({ differences: [], undecided: 0 });
  });

  it('is unknown when only a row says it and no replica agrees', () => {
    const byRow = truthOf(rows(null, 5), 5, false);
    expect(witnessed(byRow, [state(4), state(3)])).toEqual({ state: 'unknown' });
    expect(witnessed(byRow, [state(4), state(5)])).toEqual(byRow);
    const byLog = truthOf(rows(4, 9), 5, true);
    expect(witnessed(byLog, [state(3)])).toEqual(byLog);
  });
});

const limits = { maxInconsistencies: 100, maxShare: 0.01, minInconsistencies: 10, resyncRestMs: 300_000 };
const none = { repaired: new Set<string>(), resyncedAgoMs: null };
const differences = (count: number): Difference[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ namespace: 'app', key: `k${i}`, class: 'missing' as const, expected: state(1), found: null },
  }));
function outcome(part: Partial<NodeOutcome> = {}): NodeOutcome {
  return {
    ...{ nodeId: 'n', result: 'mismatch', reason: 'root', differences: differences(1), more: 0 },
    keys: { listed: 100, buckets: 1 },
    ...part,
  };
}

describe('the plan of a repair', () => {
  it('is nothing for whoever is right, or unknown', () => {
    for (const result of ['match', 'unknown'] as const)
      expect(planRepair(outcome({ result }), none, limits)).toEqual({ type: 'nothing' });
  });

  it.each([
    ['few keys', outcome({ differences: differences(100) }), 'keys'],
    ['more than the limit', outcome({ differences: differences(101) }), 'resync'],
    ['buckets that were not looked into', outcome({ differences: differences(90), more: 11 }), 'resync'],
    [
      'a share of few keys',
      outcome({ differences: differences(21), keys: { listed: 2, buckets: 1 } }),
      'resync',
    ],
    ['a few of few keys', outcome({ differences: differences(10), keys: { listed: 1, buckets: 9 } }), 'keys'],
  ])('for %s', (_what, given, expected) => {
    expect(planRepair(given, none, limits).type).toBe(expected);
  });

  it('is the whole state when a key is wrong again within the hour, but not over and over', () => {
    const repaired = new Set([nameOf({ namespace: 'app', key: 'k0' })]);
    expect(planRepair(outcome(), { repaired, resyncedAgoMs: null }, limits)).toEqual({
      type: 'resync',
      why: 'again',
    });
    const other = new Set([nameOf({ namespace: 'app', key: 'other' })]);
    expect(planRepair(outcome(), { repaired: other, resyncedAgoMs: null }, limits).type).toBe('keys');
    const rested = (resyncedAgoMs: number) => planRepair(outcome(), { repaired, resyncedAgoMs }, limits).type;
    expect([rested(299_999), rested(300_000)]).toEqual(['resting', 'resync']);
  });

  it('goes in pieces', () => {
    expect(inPieces([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
    expect(inPieces([], 2)).toEqual([]);
  });
});

describe('the standing of nodes', () => {
  const take = (
    standings: ConsistencyStates,
    result: ConsistencyResult,
    nowMs: number,
    reason = 'unreachable' as const,
  ) =>
    standings
      .apply([outcome({ result, reason: result === 'match' ? null : reason })], nowMs)
      .map((news) =>
        news.type === 'changed' ? `${news.from} ${news.outcome.result}` : `${news.type} ${news.forMs}`,
      );

  it('makes news of changes only, and once of a node that stays unknown', () => {
    const standings = new ConsistencyStates(300_000);
    expect(take(standings, 'match', 0)).toEqual(['null match']);
    expect(take(standings, 'match', 5_000)).toEqual([]);
    expect(take(standings, 'unknown', 10_000)).toEqual(['match unknown']);
    expect(take(standings, 'unknown', 310_000)).toEqual([]);
    expect(take(standings, 'unknown', 310_001)).toEqual(['stays-unknown 300001']);
    expect(take(standings, 'unknown', 900_000)).toEqual([]);
    expect(take(standings, 'mismatch', 910_000)).toEqual(['unknown mismatch']);
    expect(standings.counts()).toEqual({ match: 0, mismatch: 1, unknown: 0 });
  });

  it('recalls what was found before a restart', () => {
    const standings = new ConsistencyStates(300_000);
    standings.recall('n', { result: 'unknown', reason: 'unreachable', sinceMs: -299_000, warned: false });
    expect(take(standings, 'unknown', 0)).toEqual([]);
    expect(take(standings, 'unknown', 1_001)).toEqual(['stays-unknown 300001']);
  });
});

describe('the share of an instance', () => {
  const nodes = ['n1', 'n2', 'n3', 'n4', 'n5'];

  it('is everything for one, and each node is somebody’s for several', () => {
    expect(shareOf('a', nodes, ['a'], 'n2')).toEqual({ own: nodes, asked: nodes });
    const shares = ['a', 'b', 'c'].map((self) => shareOf(self, nodes, ['a', 'b', 'c'], 'n2'));
    expect(shares.flatMap(({ own }) => own).sort()).toEqual(nodes);
    for (const { own, asked } of shares) if (own.length > 0) expect(asked).toContain('n2');
  });

  it('has somebody to compare a single node with', () => {
    const instances = ['a', 'b'];
    const [node] = nodes.filter((each) => shareOf('a', [each], instances, null).own.length === 1);
    const other = nodes.find((each) => shareOf('b', [each], instances, null).own.length === 1);
    expect(shareOf('a', [node ?? '', other ?? ''], instances, null)).toEqual({
      ...{ own: [node], asked: [node, other] },
    });
  });
});
