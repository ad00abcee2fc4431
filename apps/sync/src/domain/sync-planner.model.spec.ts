import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { SyncOutcome, SyncTask } from './sync-action.js';
import { type PlannerSettings, SyncPlanner } from './sync-planner.js';

const SETTINGS: PlannerSettings = {
  lag: { behindAfterMs: 1_000, enter: { versions: 500, ms: 5_000 }, leave: { versions: 10, ms: 1_000 } },
  ...{
    tellEveryMs: 5_000,
    maxTasks: 2,
    maxLoads: 1,
    batchesInARow: 5,
    healEveryMs: 5_000,
    loadRestMs: 5_000,
  },
  batch: { first: 50, most: 200, growBy: 20 },
  way: { alwaysLog: 300, favour: 2, stateMs: 100 },
  rates: { changesPerSecond: 1_000, keysPerSecond: 10_000, bytesPerSecond: 1e9 },
  backoffMs: () => 250,
};
const NODES = ['a', 'b', 'c'];

const version = fc.integer({ min: 0, max: 1_000 });
const chain = fc.constantFrom('true', 'true', 'true', 'false', undefined);
const event = fc.oneof(
  fc.record({
    kind: fc.constant('says' as const),
    node: fc.constantFrom(...NODES),
    version,
    chain,
    next: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('head' as const), version }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 3_000 }) }),
  fc.record({ kind: fc.constant('forget' as const), node: fc.constantFrom(...NODES) }),
  fc.record({
    kind: fc.constant('report' as const),
    which: fc.nat(5),
    outcome: fc.constantFrom(
      'taken',
      'elsewhere',
      'diverged',
      'compacted',
      'busy',
      'timed-out',
      'told',
      'loaded',
    ),
    version,
  }),
);

/** Whatever nodes say, in whatever order: what is promised of pushes holds. */
it('SyncPlanner keeps its promises over any sequence of answers', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60, size: 'max' }), (events) => {
      const planner = new SyncPlanner(SETTINGS);
      planner.sizesAre({ stateKeys: 100, stateBytes: 1_000, bytesPerChange: 10 });
      const flights = new Map<number, SyncTask>();
      const said = new Map(NODES.map((node) => [node, new Set<string>()]));
      const incarnations = new Map(NODES.map((node) => [node, 1]));
      const diverged = new Set<string>();
      let nowMs = 0;
      const begin = (task: SyncTask) => {
        const { nodeId, ticket } = task;
        expect([...flights.values()].filter((other) => other.nodeId === nodeId)).toEqual([]);
        flights.set(ticket, task);
        expect(flights.size).toBeLessThanOrEqual(2);
        const position = task.type === 'push' ? task.after : task.position;
        // Only ever a position that the node itself told.
        expect(said.get(nodeId)?.has(`${position.version}`)).toBe(true);
        if (task.type !== 'push') return;
        expect(task.limit).toBeGreaterThanOrEqual(1);
        expect(task.limit).toBeLessThanOrEqual(200);
        expect(diverged.has(nodeId)).toBe(false);
      };
      for (const each of events) {
        if (each.kind === 'time') nowMs += each.ms;
        if (each.kind === 'head') planner.headAt({ version: each.version, chain: 'true' }, nowMs);
        if (each.kind === 'forget') {
          planner.forget(each.node);
          diverged.delete(each.node);
        }
        if (each.kind === 'says') {
          const { node, next } = each;
          if (next) incarnations.set(node, (incarnations.get(node) ?? 1) + 1);
          said.get(node)?.add(`${each.version}`);
          planner.nodeAt(
            node,
            incarnations.get(node) ?? 1,
            { version: each.version, chain: each.chain },
            nowMs,
          );
          diverged.delete(node);
        }
        if (each.kind === 'report') report(each);
        for (const action of planner.plan(nowMs)) if ('ticket' in action) begin(action);
      }

      function report({
        which,
        outcome,
        version: to,
      }: {
        which: number;
        outcome: string;
        version: number;
      }): void {
        const task = [...flights.values()][which % Math.max(1, flights.size)];
        if (task === undefined) return;
        flights.delete(task.ticket);
        const position = { version: to, chain: 'true' };
        said.get(task.nodeId)?.add(`${to}`);
        const goesOn = planner.report(task.ticket, outcomeOf(outcome, position), nowMs);
        if (outcome !== 'diverged') diverged.delete(task.nodeId); // it may stand elsewhere now
        const isKnown = planner.nodeIds().includes(task.nodeId);
        if (outcome === 'diverged' && isKnown && planner.standings(nowMs).some(isDiverged(task.nodeId)))
          diverged.add(task.nodeId);
        if (goesOn !== undefined) begin(goesOn);
      }
    }),
    { numRuns: 10_000 },
  );
});

const isDiverged = (id: string) => (standing: { nodeId: string; state: string }) =>
  standing.nodeId === id && standing.state === 'diverged';

function outcomeOf(name: string, position: { version: number; chain: string }): SyncOutcome {
  switch (name) {
    case 'taken':
      return { type: 'taken', position, changes: 50, changesPerSecond: 1_000 };
    case 'elsewhere':
      return { type: 'elsewhere', position };
    case 'loaded':
      return { type: 'loaded', position, keysPerSecond: 1_000 };
    case 'diverged':
      return { type: 'diverged', position };
    case 'compacted':
      return { type: 'compacted' };
    case 'told':
      return { type: 'told' };
    default:
      return { type: 'failed', reason: name === 'busy' ? 'busy' : 'timed-out' };
  }
}
