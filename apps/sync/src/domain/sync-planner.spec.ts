import { describe, expect, it } from 'vitest';
import type { SyncAction, SyncTask } from './sync-action.js';
import { type PlannerSettings, SyncPlanner } from './sync-planner.js';

const SETTINGS: PlannerSettings = {
  lag: { behindAfterMs: 1_000, enter: { versions: 5_000, ms: 5_000 }, leave: { versions: 10, ms: 1_000 } },
  ...{
    tellEveryMs: 5_000,
    maxTasks: 2,
    maxLoads: 1,
    batchesInARow: 3,
    healEveryMs: 5_000,
    loadRestMs: 30_000,
  },
  batch: { first: 100, most: 1_000, growBy: 50 },
  way: { alwaysLog: 1_000, favour: 2, stateMs: 100 },
  rates: { changesPerSecond: 10_000, keysPerSecond: 10_000, bytesPerSecond: 1e9 },
  backoffMs: (failures) => 250 * 2 ** failures,
};

const at = (version: number, chain = `c${version}`) => ({ version, chain });
const head = (planner: SyncPlanner, version: number, nowMs = 0) => planner.headAt(at(version), nowMs);
const taken = (version: number, changes = 100) =>
  ({ type: 'taken', position: at(version), changes, changesPerSecond: 10_000 }) as const;

function only<T extends SyncAction['type']>(actions: readonly SyncAction[], type: T) {
  const found = actions.filter((action): action is Extract<SyncAction, { type: T }> => action.type === type);
  expect(found).toHaveLength(1);
  return found[0] as Extract<SyncAction, { type: T }>;
}

function behind(version: number, headVersion: number, settings: Partial<PlannerSettings> = {}) {
  const planner = new SyncPlanner({ ...SETTINGS, ...settings });
  head(planner, headVersion);
  planner.nodeAt('node-1', 1, at(version), 0);
  return planner;
}

describe('SyncPlanner', () => {
  it('lets the broadcast arrive before it pushes', () => {
    const planner = behind(9, 10);
    expect(planner.plan(999)).toEqual([]);
    planner.nodeAt('node-1', 1, at(10), 999);
    expect(planner.plan(5_000)).toEqual([]);
  });

  it('pushes one that stays behind by anything, batch after batch, until it is level', () => {
    const planner = behind(4, 250);
    const first = only(planner.plan(1_000), 'push');
    expect(first).toMatchObject({ nodeId: 'node-1', after: at(4), limit: 100, verify: true });
    expect(planner.plan(1_100)).toEqual([]);
    const second = planner.report(first.ticket, taken(104), 1_200);
    expect(second).toMatchObject({ type: 'push', after: at(104), limit: 150, verify: false });
    expect(planner.report(first.ticket, taken(250, 146), 1_300)).toBeUndefined();
    expect(planner.plan(4_000)).toEqual([]);
    expect(planner.standings(4_000)).toMatchObject([
      { version: 250, lagVersions: 0, lagMs: 0, state: 'level' },
    ]);
  });

  it('halves the batch on 429, 413 and silence, and comes again no sooner than the node says', () => {
    const planner = behind(4, 250);
    const { ticket } = only(planner.plan(1_000), 'push');
    planner.report(ticket, { type: 'failed', reason: 'busy', retryAfterMs: 3_000 }, 1_000);
    expect(planner.plan(3_999).filter(({ type }) => type === 'push')).toEqual([]);
    let push = only(planner.plan(4_000), 'push');
    expect(push.limit).toBe(50);
    for (const [reason, limit] of [
      ['too-large', 25],
      ['timed-out', 12],
      ['refused', 12],
      ['unreachable', 12],
    ] as const) {
      planner.report(push.ticket, { type: 'failed', reason }, 10_000);
      push = only(planner.plan(100_000), 'push');
      expect(push.limit).toBe(limit);
    }
  });

  it('waits longer after each answer that brings nothing', () => {
    const planner = behind(4, 250);
    const waits: number[] = [];
    for (let nowMs = 1_000; waits.length < 3; ) {
      const { ticket } = only(planner.plan(nowMs), 'push');
      planner.report(ticket, { type: 'elsewhere', position: at(4) }, nowMs);
      const begunMs = nowMs;
      while (!planner.plan(nowMs + 50).some(({ type }) => type === 'push')) nowMs += 50;
      waits.push(nowMs + 50 - begunMs);
      const task = planner.standings(nowMs)[0];
      expect(task?.way).toBe('log');
      nowMs += 100;
      planner.report(ticket + 1, { type: 'elsewhere', position: at(4) }, nowMs);
      nowMs += 10_000;
    }
    expect(waits[0]).toBe(250);
    expect(waits[1]).toBe(1_000);
  });

  it('goes on where the node says it stands, and has the log compare that first', () => {
    const planner = behind(4, 250);
    const { ticket } = only(planner.plan(1_000), 'push');
    const next = planner.report(ticket, { type: 'elsewhere', position: at(200) }, 1_100);
    expect(next).toMatchObject({ type: 'push', after: at(200), verify: true });
  });

  it('never pushes onto a history that the log does not have, until the node stands elsewhere', () => {
    const planner = behind(4, 250);
    const push = only(planner.plan(1_000), 'push');
    expect(planner.report(push.ticket, { type: 'diverged', position: at(4, 'x') }, 1_000)).toBeUndefined();
    const heal = only(planner.plan(1_000), 'heal');
    planner.report(heal.ticket, { type: 'told' }, 1_000);
    planner.nodeAt('node-1', 1, at(4, 'x'), 2_000);
    expect(planner.plan(5_999).filter(({ type }) => type !== 'lagging')).toEqual([]);
    expect(planner.standings(2_000)[0]?.state).toBe('diverged');
    const again = only(planner.plan(6_000), 'heal');
    planner.report(again.ticket, { type: 'failed', reason: 'unreachable' }, 6_000);
    planner.nodeAt('node-1', 1, at(240), 7_000);
    head(planner, 260, 7_000);
    expect(only(planner.plan(9_000), 'push')).toMatchObject({ after: at(240), verify: true });
  });

  it('has one compared that is level by number only', () => {
    const planner = behind(250, 250);
    planner.nodeAt('node-1', 1, at(250, 'x'), 100);
    const check = only(planner.plan(200), 'check');
    planner.report(check.ticket, { type: 'diverged', position: at(250, 'x') }, 200);
    expect(only(planner.plan(200), 'heal').nodeId).toBe('node-1');
  });

  it('tells when one begins to lag, again at the interval, and when that is over', () => {
    const planner = behind(3, 60);
    const told = (nowMs: number) =>
      planner.plan(nowMs).filter(({ type }) => type === 'lagging' || type === 'level');
    expect(told(4_999)).toEqual([]);
    expect(told(5_000)).toEqual([{ type: 'lagging', nodeId: 'node-1', version: 3, behindMs: 5_000 }]);
    expect(told(9_999)).toEqual([]);
    expect(told(10_000)).toHaveLength(1);
    head(planner, 60, 10_500);
    planner.nodeAt('node-1', 2, at(60), 10_500);
    expect(told(10_600)).toEqual([]); // a new incarnation begins anew
    head(planner, 100, 11_000);
    expect(told(16_000)).toHaveLength(1);
    planner.nodeAt('node-1', 2, at(100), 17_000);
    expect(told(17_000)).toEqual([{ type: 'level', nodeId: 'node-1', version: 100, laggedMs: 1_000 }]);
    expect(told(30_000)).toEqual([]);
  });

  it('has a state loaded where that is cheaper, one at a time, and the log tried after a failure', () => {
    const planner = behind(3, 100_000);
    planner.nodeAt('node-2', 1, at(3), 0);
    planner.sizesAre({ stateKeys: 1_000, stateBytes: 100_000, bytesPerChange: 100 });
    const actions = planner.plan(1_000);
    const load = only(actions, 'load');
    expect(only(actions, 'push').nodeId).not.toBe(load.nodeId);
    planner.report(load.ticket, { type: 'failed', reason: 'refused' }, 1_000);
    expect(only(planner.plan(2_000), 'push').nodeId).toBe(load.nodeId);
  });

  it('has no state loaded again and again that brings the node no further', () => {
    const planner = behind(3, 100_000);
    planner.sizesAre({ stateKeys: 1_000, stateBytes: 100_000, bytesPerChange: 100 });
    const load = only(planner.plan(1_000), 'load');
    planner.report(load.ticket, { type: 'loaded', position: at(3), keysPerSecond: 1_000 }, 2_000);
    expect(only(planner.plan(3_000), 'push').nodeId).toBe('node-1');
  });

  it('has a state loaded by one that the log does not reach back to', () => {
    const planner = behind(3, 100);
    const push = only(planner.plan(1_000), 'push');
    expect(planner.report(push.ticket, { type: 'compacted' }, 1_000)).toBeUndefined();
    const load = only(planner.plan(1_000), 'load');
    planner.report(load.ticket, { type: 'loaded', position: at(100), keysPerSecond: 1_000 }, 2_000);
    expect(planner.plan(4_000)).toEqual([]);
  });

  it('believes a new incarnation, not an old one, and not what one says while it is pushed to', () => {
    const planner = behind(8, 250);
    planner.nodeAt('node-1', 2, at(9), 0);
    planner.nodeAt('node-1', 1, at(2), 0);
    const version = () => planner.standings(0)[0]?.version;
    expect(version()).toBe(9);
    planner.nodeAt('node-1', 2, at(5), 0);
    expect(version()).toBe(5);
    const { ticket } = only(planner.plan(1_000), 'push');
    planner.nodeAt('node-1', 2, at(4), 1_100);
    expect(version()).toBe(5);
    planner.nodeAt('node-1', 3, at(0), 1_200);
    expect(version()).toBe(0);
    expect(planner.report(ticket, taken(105), 1_300)).toBeUndefined();
    expect(version()).toBe(0);
  });

  it('works on few nodes at once, in turn, and only on its own', () => {
    const planner = behind(3, 100_000);
    for (const id of ['node-2', 'node-3', 'node-4']) planner.nodeAt(id, 1, at(3), 0);
    planner.shareIs(new Set(['node-1', 'node-2', 'node-3']));
    const pushes = (nowMs: number) =>
      planner
        .plan(nowMs)
        .filter((action): action is Extract<SyncTask, { type: 'push' }> => action.type === 'push');
    const first = pushes(1_000);
    expect(first.map(({ nodeId }) => nodeId)).toEqual(['node-1', 'node-2']);
    const [one] = first as [SyncTask];
    for (let batch = 1; batch <= 3; batch++)
      planner.report(one.ticket, taken(3 + batch * 10, 10), 1_000 + batch);
    expect(pushes(1_100).map(({ nodeId }) => nodeId)).toEqual(['node-3']);
  });
});
