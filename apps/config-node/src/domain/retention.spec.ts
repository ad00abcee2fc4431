import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type KeyCut,
  type KeyOperation,
  type NodePosition,
  planRetention,
  type RetentionBounds,
  readRules,
  removable,
  ruleOf,
  stateUntil,
} from './retention.js';

const HOUR = 3_600_000;
const NOW = 1_000 * HOUR;
const BOUNDS: RetentionBounds = {
  windowVersions: 100,
  protectedMs: 24 * HOUR,
  nodeSeenWithinMs: 24 * HOUR,
  positionsFreshMs: HOUR / 6,
};

function node(nodeId: string, version: number, hoursAgo = 0): NodePosition {
  return { nodeId, version, seenAtMs: NOW - hoursAgo * HOUR };
}

describe('how far the history may be removed', () => {
  const plan = (positions: NodePosition[], { head = 10_000, agedVersion = 9_000 } = {}) =>
    planRetention({ head, agedVersion, positions, nowMs: NOW }, BOUNDS);

  it.each([
    ['what is young', [node('a', 10_000)], {}, { upTo: 9_000, heldBack: 'recent' }],
    ['the window', [node('a', 10_000)], { agedVersion: 9_999 }, { upTo: 9_900, heldBack: 'window' }],
    [
      'the slowest node',
      [node('a', 10_000), node('b', 700), node('c', 800)],
      {},
      { upTo: 700, heldBack: 'node-behind', nodeId: 'b' },
    ],
    [
      'a node that was seen a day ago',
      [node('a', 10_000), node('b', 5, 23.9)],
      {},
      { upTo: 5, heldBack: 'node-behind', nodeId: 'b' },
    ],
    [
      'but not one that has been away for longer',
      [node('a', 10_000), node('b', 5, 24.1)],
      {},
      { upTo: 9_000, heldBack: 'recent' },
    ],
    [
      'a node that has nothing yet',
      [node('a', 10_000), node('b', 0)],
      {},
      { upTo: 0, heldBack: 'node-behind', nodeId: 'b' },
    ],
    ['a short history', [node('a', 50)], { head: 50, agedVersion: 50 }, { upTo: 0, heldBack: 'window' }],
    ['nobody knows of a node', [], {}, { upTo: 0, heldBack: 'positions-stale' }],
    ['nobody saw a node lately', [node('a', 10_000, 1)], {}, { upTo: 0, heldBack: 'positions-stale' }],
    ['a clock that is far ahead', [node('a', 10_000, -1)], {}, { upTo: 0, heldBack: 'positions-stale' }],
  ])('is held back by %s', (_what, positions, history, expected) => {
    expect(plan(positions, history)).toEqual(expected);
  });
});

describe('the rules', () => {
  it.each([
    ['no-rules', undefined, 'no-rules'],
    ['not JSON', '{', 'rules-invalid'],
    ['not of the schema', '{"namespaces": {"app": {"maxAgeDays": 0}}}', 'rules-invalid'],
    ['valid', '{"namespaces": {"app": {"maxAgeDays": 1}}}', { namespaces: { app: { maxAgeDays: 1 } } }],
  ])('%s', (_, text, expected) => {
    expect(readRules(text === undefined ? undefined : Buffer.from(text))).toEqual(expected);
  });
});

describe('the rule of a namespace', () => {
  const retention = {
    namespaces: { '*': { maxAgeDays: 30 }, audit: {}, app: { maxVersionsPerKey: 10 } },
  };

  it('is its own, else that of all', () => {
    expect(ruleOf(retention, 'app')).toEqual({ maxVersionsPerKey: 10 });
    expect(ruleOf(retention, 'app.other')).toEqual({ maxAgeDays: 30 });
    expect(ruleOf(retention, 'constructor')).toEqual({ maxAgeDays: 30 });
  });

  it('keeps everything where it has no bound, or there is none', () => {
    expect(ruleOf(retention, 'audit')).toBeUndefined();
    expect(ruleOf({ namespaces: { app: { maxAgeDays: 1 } } }, 'other')).toBeUndefined();
  });

  it('reaches what is Holdfast’s own only by name', () => {
    expect(ruleOf(retention, 'system')).toBeUndefined();
    expect(ruleOf({ namespaces: { system: { maxAgeDays: 1 } } }, 'system')).toEqual({ maxAgeDays: 1 });
  });
});

/** `p3` = put at version 3, `d5` = deletion. */
function operationsOf(text: string): KeyOperation[] {
  const versions = text.split(' ').map((word) => Number(word.slice(1)));
  return text.split(' ').map((word, i) => ({
    op: word.startsWith('d') ? 'delete' : 'put',
    version: versions[i] ?? 0,
    supersededBy: versions[i + 1] ?? null,
  }));
}

describe('what goes of a key', () => {
  const all = { upTo: 100, agedVersion: null, keepFrom: null };

  it.each<[string, string, Partial<KeyCut>, number[]]>([
    ['nothing without a bound', 'p1 p2 p3', {}, []],
    ['what ceased to be the state long enough ago', 'p1 p20 p30', { agedVersion: 20 }, [1]],
    ['never what still is the state', 'p1', { agedVersion: 100 }, []],
    ['what was the state until lately stays, however old', 'p1 p90', { agedVersion: 80 }, []],
    ['a deletion long ago, with all before it', 'p1 p2 d3', { agedVersion: 3 }, [1, 2, 3]],
    ['a deletion of lately stays', 'p1 p2 d30', { agedVersion: 10 }, [1]],
    ['a deletion that was superseded', 'p1 d2 p3', { agedVersion: 50 }, [1, 2]],
    ['what is more than the number', 'p1 p2 p3 p4', { keepFrom: 3 }, [1, 2]],
    ['a last deletion never by the number', 'p1 d2', { keepFrom: 9 }, [1]],
    ['what either bound says', 'p1 p2 p3 p4', { keepFrom: 2, agedVersion: 3 }, [1, 2]],
    ['nothing beyond what the plan allows', 'p1 p2 p30 p40', { keepFrom: 40, upTo: 29 }, [1]],
    ['all that the plan allows', 'p1 p2 p30 p40', { keepFrom: 40, upTo: 30 }, [1, 2]],
  ])('%s', (_what, text, cut, expected) => {
    expect(removable(operationsOf(text), { ...all, ...cut }).map(({ version }) => version)).toEqual(expected);
  });
});

interface Logged {
  version: number;
  key: string;
  op: 'put' | 'delete';
}

/** The state by a log, as of a version: which put stands, by key. */
function stateAt(log: readonly Logged[], version: number): Map<string, number> {
  const state = new Map<string, number>();
  for (const { key, op, version: of } of log) {
    if (of > version) continue;
    if (op === 'put') state.set(key, of);
    else state.delete(key);
  }
  return state;
}

describe('whatever was written and whatever the rules are', () => {
  const history = fc.array(
    fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), op: fc.constantFrom('put', 'put', 'delete') }),
    { minLength: 1, maxLength: 40 },
  );
  const version = fc.integer({ min: 0, max: 45 });
  const cuts = fc.array(
    fc.record({
      upTo: version,
      agedVersion: fc.option(version),
      keep: fc.option(fc.integer({ min: 1, max: 6 })),
      atMost: fc.integer({ min: 1, max: 5 }),
    }),
    { minLength: 1, maxLength: 4 },
  );

  it('what is left is right as far as it reaches, and whole from the floor on', () => {
    fc.assert(
      fc.property(history, cuts, (writes, walks) => {
        const log: Logged[] = writes.map(({ key, op }, i) => ({
          version: i + 1,
          key,
          op: op as 'put' | 'delete',
        }));
        const head = log.length;
        let kept = log;
        let floor = 1;
        for (const { upTo, agedVersion, keep, atMost } of walks) {
          for (const key of ['a', 'b', 'c', 'd']) {
            const own = kept.filter((operation) => operation.key === key);
            const operations = own.map((operation, i) => ({
              ...operation,
              supersededBy: own[i + 1]?.version ?? null,
            }));
            const keepFrom = keep === null ? null : (own.at(-keep)?.version ?? null);
            // Batches end anywhere.
            const gone = removable(operations, { upTo, agedVersion, keepFrom }).slice(0, atMost);
            floor = Math.max(floor, ...gone.map((operation) => stateUntil(operation) + 1));
            for (const { version: of } of gone) expect(of).toBeLessThanOrEqual(upTo);
            kept = kept.filter((operation) => !gone.some((one) => one.version === operation.version));
          }
          expect(floor).toBeLessThanOrEqual(Math.max(1, ...walks.map((walk) => walk.upTo)) + 1);
        }
        expect(kept.filter((operation) => operation.version >= floor)).toEqual(log.slice(floor - 1));
        for (let at = floor - 1; at <= head; at++) expect(stateAt(kept, at)).toEqual(stateAt(log, at));
        for (let at = 1; at < floor - 1; at++) {
          const whole = stateAt(log, at);
          for (const [key, of] of stateAt(kept, at)) expect(whole.get(key)).toBe(of);
        }
      }),
      { numRuns: 10_000 },
    );
  });
});
