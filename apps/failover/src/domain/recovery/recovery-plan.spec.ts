import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffCeilingMs, seededRng } from '#libs/kernel';
import { isQuarantined } from '../disruption-budget.js';
import { type OperatorWish, planWish } from '../operator-plan.js';
import type {
  HoldRow,
  ObservedNode,
  RecoveryAlert,
  RecoveryInput,
  RecoveryPlan,
  RecoveryRow,
  RecoverySettings,
  RestartOrder,
  VerdictRow,
} from './recovery.types.js';
import { planAfterRestart, planRecovery } from './recovery-plan.js';

const MINUTE = 60_000;
const SETTINGS: RecoverySettings = {
  instanceId: 'failover-1',
  hasDriver: true,
  maxRetries: 5,
  backoff: { baseMs: 10_000, capMs: 300_000 },
  selfRestartMs: 10_000,
  restartMs: 15_000,
  verifyMs: 30_000,
  timeoutMs: 10 * MINUTE,
  healthPasses: 3,
  flaps: {
    perFlap: 1_000,
    steadyMs: Number.POSITIVE_INFINITY, // every failure counts in full
    halfLifeMs: 15 * MINUTE,
    suppressAt: 2_000,
    reuseAt: 750,
    maxQuarantineMs: 60 * MINUTE,
  },
};

/** Rows and nodes under a clock of the test's: it carries out plans as the store and the drivers would. */
class World {
  nowMs = 1_000_000;
  witnesses = 2;
  readonly nodes = new Map<string, ObservedNode>();
  readonly recoveries = new Map<string, RecoveryRow>();
  readonly holds = new Map<string, HoldRow>();
  readonly verdicts = new Map<string, VerdictRow>();
  readonly restarts: RestartOrder[] = [];
  readonly alerts: RecoveryAlert[] = [];
  readonly steps: RecoveryRow[] = [];
  private readonly rng = seededRng(1);

  constructor(
    count = 4,
    readonly settings = SETTINGS,
  ) {
    for (let i = 1; i <= count; i++) {
      this.nodes.set(`node-${i}`, {
        ...{ nodeId: `node-${i}`, incarnation: 1, voter: i < 4, answers: true },
        ...{ healthPasses: 3, level: true, announcedStop: false },
      });
    }
  }

  get standing(): RecoveryInput {
    const { nowMs, witnesses, recoveries, holds, verdicts } = this;
    return { nowMs, witnesses, nodes: [...this.nodes.values()], recoveries, holds, verdicts };
  }

  see(nodeId: string, change: Partial<ObservedNode>): void {
    this.nodes.set(nodeId, { ...this.node(nodeId), ...change });
  }

  node(nodeId: string): ObservedNode {
    const node = this.nodes.get(nodeId);
    if (!node) throw new Error(`no ${nodeId}`);
    return node;
  }

  fail(nodeId: string, change: Partial<VerdictRow> = {}): void {
    const seq = (this.verdicts.get(nodeId)?.seq ?? 0) + 1;
    const { incarnation } = this.node(nodeId);
    const verdict = { nodeId, incarnation, seq, failed: true, reason: 'process-down' };
    this.verdicts.set(nodeId, { ...verdict, confirmed: true, announced: false, ...change });
    this.see(nodeId, { answers: false, healthPasses: 0, level: false });
  }

  /** As a new incarnation, ready and level. */
  comeBack(nodeId: string, change: Partial<ObservedNode> = {}): void {
    const incarnation = this.node(nodeId).incarnation + 1;
    const well = { answers: true, healthPasses: 3, level: true, announcedStop: false };
    this.see(nodeId, { ...well, incarnation, ...change });
  }

  tick(afterMs = 500): RecoveryPlan {
    this.nowMs += afterMs;
    return this.carryOut(planRecovery(this.standing, this.settings, this.rng));
  }

  run(forMs: number): void {
    for (let ms = 0; ms < forMs; ms += 500) this.tick();
  }

  restarted(nodeId: string, done: boolean): void {
    const { seq = 0 } = this.recoveries.get(nodeId) ?? {};
    this.carryOut(planAfterRestart(this.standing, nodeId, seq, done, this.settings, this.rng));
  }

  ask(wish: OperatorWish['wish'], nodeId: string): string {
    const answer = planWish({ wish, nodeId, why: undefined }, this.standing, this.settings);
    if (answer.answer === 'refused') return answer.code;
    this.carryOut(answer.plan);
    return answer.plan.holds.length + answer.plan.steps.length === 0 ? 'nothing' : 'done';
  }

  state(nodeId: string): string | undefined {
    return this.recoveries.get(nodeId)?.state;
  }

  private carryOut(plan: RecoveryPlan): RecoveryPlan {
    for (const row of [...plan.notes, ...plan.steps]) {
      if (row.seq >= (this.recoveries.get(row.nodeId)?.seq ?? 0)) this.recoveries.set(row.nodeId, row);
    }
    for (const hold of plan.holds) this.holds.set(hold.nodeId, hold);
    this.restarts.push(...plan.restarts);
    this.alerts.push(...plan.alerts);
    this.steps.push(...plan.steps);
    return plan;
  }
}

const trail = (world: World) =>
  world.steps.map(({ nodeId, state, why, attempt }) => `${nodeId} ${state} ${why} ${attempt}`);

describe('a node that fails', () => {
  it('and comes back by itself is not restarted', () => {
    const world = new World();
    world.fail('node-1');
    world.run(3_000);
    world.comeBack('node-1');
    world.run(2_000);
    expect(trail(world)).toEqual([
      'node-1 waiting process-down 0',
      'node-1 verifying came-back 0',
      'node-1 catching-up ready 0',
      'node-1 healthy level 0',
    ]);
    expect(world.restarts).toEqual([]);
  });

  it('and stays away is restarted after a while, verified, caught up', () => {
    const world = new World();
    world.fail('node-1');
    world.run(9_500);
    expect(world.restarts).toEqual([]);
    world.run(1_000);
    expect(world.restarts).toEqual([{ nodeId: 'node-1', incarnation: 1, answers: false }]);
    world.restarted('node-1', true);
    expect(world.state('node-1')).toBe('verifying');
    world.comeBack('node-1', { healthPasses: 2, level: false });
    world.run(2_000);
    expect(world.state('node-1')).toBe('verifying');
    world.see('node-1', { healthPasses: 3 });
    world.run(2_000);
    expect(world.state('node-1')).toBe('catching-up');
    world.see('node-1', { level: true });
    world.run(500);
    expect(world.state('node-1')).toBe('healthy');
  });

  it('is looked at again before each try', () => {
    const world = new World();
    world.fail('node-1');
    world.run(9_500);
    world.comeBack('node-1');
    world.run(60_000);
    expect(world.restarts).toEqual([]);
  });

  it('and answers again as itself, its verdict withdrawn, is back', () => {
    const world = new World();
    world.fail('node-1', { reason: 'unresponsive' });
    world.run(1_000);
    world.see('node-1', { answers: true, healthPasses: 3, level: true });
    world.run(1_000);
    expect(world.state('node-1')).toBe('waiting');
    const verdict = world.verdicts.get('node-1');
    if (verdict) world.verdicts.set('node-1', { ...verdict, seq: 2, failed: false, reason: null });
    world.run(1_500);
    expect(world.state('node-1')).toBe('healthy');
  });

  it('and answers without getting ready is restarted through its own door', () => {
    const world = new World();
    world.fail('node-1');
    world.run(1_000);
    world.comeBack('node-1', { healthPasses: 0, level: false });
    world.run(45_000);
    expect(world.restarts).toMatchObject([{ nodeId: 'node-1', answers: true }]);
  });

  it('is given up after the last try, with one alert; a node that comes back all the same is taken back', () => {
    const world = new World(4, { ...SETTINGS, maxRetries: 2, timeoutMs: 20 * MINUTE });
    world.fail('node-1');
    world.run(5 * MINUTE);
    expect(world.restarts).toHaveLength(2);
    expect(world.state('node-1')).toBe('timed-out');
    expect(world.alerts.map(({ name }) => name)).toEqual(['RecoveryTimeout']);
    world.comeBack('node-1');
    world.run(1_000);
    expect(world.state('node-1')).toBe('healthy');
  });

  it('is given up when time is over, although nothing could restart it', () => {
    const world = new World(4, { ...SETTINGS, hasDriver: false });
    world.fail('node-1');
    world.run(11 * MINUTE);
    expect(world.restarts).toEqual([]);
    expect(world.alerts.map(({ name }) => name)).toEqual(['RecoveryTimeout']);
  });

  it('is tried again after growing waits when the driver refuses', () => {
    const world = new World(4, { ...SETTINGS, timeoutMs: 60 * MINUTE });
    world.fail('node-1');
    for (let i = 0; i < 60 * 60 * 2; i++) {
      const { restarts } = world.tick();
      if (restarts.length > 0) world.restarted('node-1', false);
    }
    expect(world.restarts).toHaveLength(5);
    expect(world.steps.filter(({ why }) => why === 'not-restarted')).toHaveLength(4);
    expect(world.steps.at(-1)).toMatchObject({ state: 'timed-out', why: 'retries-used-up' });
  });

  it('whose restarter falls silent is taken over, not restarted again at once', () => {
    const world = new World();
    world.fail('node-1');
    world.run(11_000);
    expect(world.state('node-1')).toBe('restarting');
    world.run(15_500);
    expect(world.state('node-1')).toBe('verifying');
    expect(world.restarts).toHaveLength(1);
  });

  it.each([
    [0, 10],
    [1, 20],
    [2, 40],
    [3, 80],
    [4, 160],
    [5, 300],
    [6, 300],
  ])('waits before retry %d at most %d s', (attempt, seconds) => {
    expect(backoffCeilingMs(SETTINGS.backoff, attempt)).toBe(seconds * 1_000);
  });
});

describe('a node that said that it stops', () => {
  it.each([
    ['to the judge', true, false],
    ['to this instance', false, true],
  ])('%s has not failed, and is left alone', (_to, announced, announcedStop) => {
    const world = new World();
    world.see('node-1', { announcedStop });
    world.fail('node-1', { announced });
    world.run(5 * MINUTE);
    expect([world.steps, world.restarts]).toEqual([[], []]);
    expect(world.recoveries.get('node-1')).toMatchObject({ verdictSeq: 1, flaps: { value: 0 } });
  });
});

describe('a node that fails again and again', () => {
  /** Killed every 5 s, started again by its supervisor 2 s later. */
  function killEvery5s(world: World, forMs: number): void {
    for (let ms = 0; ms < forMs; ms += 5_000) {
      world.fail('node-1');
      world.run(2_000);
      world.comeBack('node-1');
      world.run(3_000);
    }
  }

  it('is quarantined after a handful of restarts, with one alert', () => {
    const world = new World();
    killEvery5s(world, 10 * MINUTE);
    const quarantinedAfter = world.steps.filter(({ state }) => state === 'waiting').length;
    expect(quarantinedAfter).toBeLessThanOrEqual(5);
    expect(world.restarts.length).toBeLessThanOrEqual(5);
    expect(world.alerts.map(({ name }) => name)).toEqual(['NodeQuarantined']);
    expect(world.state('node-1')).toBe('quarantined');
    expect(isQuarantined(world.holds.get('node-1'), world.nowMs)).toBe(true);
  });

  it('is not quarantined when it was well in between, however often it is killed', () => {
    const world = new World(4, { ...SETTINGS, flaps: { ...SETTINGS.flaps, steadyMs: 4_000 } });
    for (let n = 0; n < 15; n++) {
      world.fail('node-1');
      world.run(2_000);
      world.comeBack('node-1');
      world.run(6_000);
      expect(world.state('node-1')).toBe('healthy');
    }
    for (let n = 0; n < 3; n++) {
      world.fail('node-1');
      world.run(2_000);
      world.comeBack('node-1');
      world.run(3_000);
    }
    expect(world.state('node-1')).toBe('quarantined');
  });

  it('is not restarted in quarantine, and taken back when it ends', () => {
    const world = new World();
    for (let i = 0; i < 3; i++) {
      world.comeBack('node-1');
      world.fail('node-1');
      world.run(1_000);
    }
    expect(world.state('node-1')).toBe('quarantined');
    world.run(29 * MINUTE);
    expect([world.state('node-1'), world.restarts.length]).toEqual(['quarantined', 0]);
    world.comeBack('node-1');
    world.run(2 * MINUTE);
    expect(world.state('node-1')).toBe('healthy');
    expect(world.holds.get('node-1')).toMatchObject({ quarantinedUntilMs: null, quarantines: 1 });
  });

  it('is quarantined for longer the next time', () => {
    const world = new World();
    const lasts: number[] = [];
    for (let round = 0; round < 2; round++) {
      while (!isQuarantined(world.holds.get('node-1'), world.nowMs)) {
        world.comeBack('node-1');
        world.fail('node-1');
        world.run(1_000);
      }
      lasts.push((world.holds.get('node-1')?.quarantinedUntilMs ?? 0) - world.nowMs);
      world.comeBack('node-1');
      world.run((lasts.at(-1) ?? 0) + 2_000);
    }
    expect(lasts[1]).toBeGreaterThan((lasts[0] ?? 0) * 1.5);
  });

  it('is free, and its past forgotten, when an operator releases it', () => {
    const world = new World();
    for (let i = 0; i < 3; i++) {
      world.comeBack('node-1');
      world.fail('node-1');
      world.run(1_000);
    }
    expect(world.ask('release', 'node-1')).toBe('done');
    world.comeBack('node-1');
    world.run(2_000);
    expect(world.state('node-1')).toBe('healthy');
    world.fail('node-1');
    world.run(1_000);
    expect(world.state('node-1')).toBe('waiting');
    expect(world.ask('release', 'node-1')).toBe('nothing');
  });

  it('is charged only for what a second witness saw, where there is one', () => {
    for (const [witnesses, charged] of [
      [2, 0],
      [1, 1_000],
    ] as const) {
      const world = new World();
      world.witnesses = witnesses;
      world.fail('node-1', { confirmed: false });
      world.tick();
      expect(world.recoveries.get('node-1')?.flaps.value).toBe(charged);
    }
  });

  it('is charged once for what two witnesses call by two names', () => {
    const world = new World();
    world.fail('node-1');
    world.tick();
    world.fail('node-1', { reason: 'unresponsive' });
    world.tick();
    expect(world.recoveries.get('node-1')).toMatchObject({ verdictSeq: 2, flaps: { value: 1_000 } });
    expect(trail(world)).toEqual(['node-1 waiting process-down 0']);
  });

  it('is never quarantined as the last that could lead, nor beside another', () => {
    const world = new World(3);
    for (const other of ['node-2', 'node-3']) world.see(other, { voter: false });
    for (let i = 0; i < 5; i++) {
      world.comeBack('node-1');
      world.fail('node-1');
      world.run(1_000);
    }
    expect(world.state('node-1')).toBe('waiting');
    world.see('node-2', { voter: true });
    world.comeBack('node-1');
    world.fail('node-1');
    world.tick();
    expect(world.state('node-1')).toBe('quarantined');
    world.comeBack('node-1');
    world.see('node-3', { voter: true });
    for (let i = 0; i < 5; i++) {
      world.fail('node-2');
      world.run(1_000);
      world.comeBack('node-2');
    }
    expect(world.state('node-2')).not.toBe('quarantined');
  });
});

describe('the fleet', () => {
  it('is only observed while more than half of it is unwell', () => {
    const world = new World(4);
    for (const nodeId of ['node-1', 'node-2', 'node-3']) world.fail(nodeId);
    world.run(5 * MINUTE);
    expect(world.restarts).toEqual([]);
    world.comeBack('node-3');
    world.run(MINUTE);
    expect(world.restarts.length).toBeGreaterThan(0);
  });

  it.each([
    [4, 2, 1],
    [6, 3, 2],
    [9, 4, 3],
  ])('of %d nodes, %d dead, has at most %d on their way back at once', (count, dead, most) => {
    const world = new World(count);
    for (let i = 1; i <= dead; i++) world.fail(`node-${i}`);
    world.run(11_000);
    const onTheirWay = [...world.recoveries.values()].filter(({ state }) => state !== 'waiting');
    expect(onTheirWay).toHaveLength(most);
  });

  it('keeps its limits and invariants, whatever happens to its nodes', () => {
    const event = fc.record({
      node: fc.integer({ min: 1, max: 5 }),
      what: fc.constantFrom(
        'fail',
        'back',
        'unready',
        'stop',
        'drain',
        'undrain',
        'restart',
        'release',
        'driver',
      ),
      afterMs: fc.integer({ min: 0, max: 40_000 }),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 25 }), (events) => {
        const world = new World(5);
        for (const { node, what, afterMs } of events) {
          happen(world, `node-${node}`, what);
          world.tick(afterMs);
          check(world);
        }
      }),
      { numRuns: 10_000 },
    );
  });

  function happen(world: World, nodeId: string, what: string): void {
    if (what === 'back') world.comeBack(nodeId);
    else if (what === 'unready') world.see(nodeId, { healthPasses: 0, level: false });
    else if (what === 'stop') world.see(nodeId, { announcedStop: true });
    else if (what === 'driver') world.restarted(nodeId, true);
    else if (what !== 'fail') world.ask(what as OperatorWish['wish'], nodeId);
    else if (world.node(nodeId).answers) world.fail(nodeId);
  }

  function check(world: World): void {
    const rows = [...world.recoveries.values()];
    const seqs = world.steps.filter(({ nodeId }) => nodeId === 'node-1').map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    expect(rows.every(({ attempt }) => attempt <= SETTINGS.maxRetries)).toBe(true);
    // An operator may have any number of dead nodes started again: they can only win by it.
    const unasked = rows.filter(({ state, planned }) => state === 'restarting' && !planned);
    expect(unasked.length).toBeLessThanOrEqual(1);
    const quarantined = [...world.holds.values()].filter((hold) => isQuarantined(hold, world.nowMs));
    expect(quarantined.length).toBeLessThanOrEqual(1);
    const free = [...world.nodes.values()].filter(({ nodeId, voter }) => {
      const hold = world.holds.get(nodeId);
      return voter && !hold?.drained && !isQuarantined(hold, world.nowMs);
    });
    expect(free.length).toBeGreaterThan(0);
  }
});

describe('an operator', () => {
  it('drains and undrains; what is so already is done once', () => {
    const world = new World();
    expect([world.ask('drain', 'node-1'), world.ask('drain', 'node-1')]).toEqual(['done', 'nothing']);
    expect(world.holds.get('node-1')).toMatchObject({ seq: 1, drained: true });
    expect([world.ask('undrain', 'node-1'), world.ask('undrain', 'node-1')]).toEqual(['done', 'nothing']);
    expect(world.holds.get('node-1')).toMatchObject({ seq: 2, drained: false });
    expect(world.ask('drain', 'node-9')).toBe('node-not-found');
  });

  it('cannot drain the last voter that may lead, but an observer at any time', () => {
    const world = new World();
    expect([world.ask('drain', 'node-1'), world.ask('drain', 'node-2')]).toEqual(['done', 'done']);
    expect(world.ask('drain', 'node-3')).toBe('precondition-failed');
    expect(world.ask('drain', 'node-4')).toBe('done');
    world.ask('undrain', 'node-2');
    world.fail('node-2');
    expect(world.ask('drain', 'node-3')).toBe('precondition-failed');
  });

  it('has dead nodes restarted while most are unwell, all of them, but none that still answers', () => {
    const world = new World(5);
    for (const id of ['node-1', 'node-2', 'node-3']) world.fail(id);
    expect(['node-1', 'node-2'].map((id) => world.ask('restart', id))).toEqual(['done', 'done']);
    expect(world.ask('restart', 'node-4')).toBe('precondition-failed');
  });

  it('restarts a node: no flap, and only its next incarnation counts as back', () => {
    const world = new World();
    expect(world.ask('restart', 'node-1')).toBe('done');
    expect(world.restarts).toEqual([{ nodeId: 'node-1', incarnation: 1, answers: true }]);
    expect(world.ask('restart', 'node-1')).toBe('cluster-busy');
    expect(world.ask('restart', 'node-2')).toBe('cluster-busy');
    world.run(1_000);
    expect(world.state('node-1')).toBe('restarting');
    world.see('node-1', { announcedStop: true });
    world.restarted('node-1', true);
    world.fail('node-1');
    world.run(2_000);
    expect(world.state('node-1')).toBe('verifying');
    world.comeBack('node-1');
    world.run(1_500);
    expect(world.state('node-1')).toBe('healthy');
    expect(world.recoveries.get('node-1')?.flaps.value).toBe(0);
  });

  it('may restart a dead node while most are unwell, but not one that answers', () => {
    const world = new World();
    for (const nodeId of ['node-1', 'node-2', 'node-3']) world.fail(nodeId);
    expect(world.ask('restart', 'node-4')).toBe('precondition-failed');
    expect(world.ask('restart', 'node-1')).toBe('done');
  });

  it('is told when nothing could restart a node that does not answer', () => {
    const world = new World(4, { ...SETTINGS, hasDriver: false });
    expect(world.ask('restart', 'node-2')).toBe('done');
    world.restarted('node-2', true);
    world.comeBack('node-2');
    world.run(2_000);
    world.fail('node-1');
    expect(world.ask('restart', 'node-1')).toBe('precondition-failed');
  });
});
