import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsistentHash, LeastConnections, SmoothRoundRobin, type Strategy } from '#libs/balancer';
import type { NodeInfo } from '#libs/contracts';
import type { Candidate } from './candidate.js';
import { LoadBalancer } from './load-balancer.js';
import { NodeTable } from './node-table.js';

const WINDOW_MS = 30_000;

function info(id: string, at: Partial<NodeInfo> = {}): NodeInfo {
  return {
    id,
    kind: 'config-node',
    role: 'follower',
    status: 'healthy',
    reason: null,
    address: `http://${id}`,
    incarnation: 1,
    statusSeq: 1,
    version: 0,
    lag: 0,
    term: 1,
    lastHeartbeatAt: null,
    registeredAt: '2026-01-01T00:00:00.000Z',
    metadata: {},
    ...at,
  };
}

function fleet(count: number, strategy: Strategy = new LeastConnections()) {
  const table = new NodeTable([]);
  const infos = Array.from({ length: count }, (_, index) => info(`n${index + 1}`));
  table.listed(infos, 0);
  const balancer = new LoadBalancer(table, { strategy, slowStartMs: WINDOW_MS });
  balancer.tick(0);
  return { table, balancer, infos, node: (id: string) => table.get(id)?.candidate as Candidate };
}

const ids = (tiers: readonly (readonly Candidate[])[]) => tiers.map((tier) => tier.map(({ id }) => id));
const fail = (balancer: LoadBalancer, node: Candidate, times: number, nowMs = 0) => {
  for (let i = 0; i < times; i++) balancer.failed(node, nowMs);
};

describe('the rotation', () => {
  it.each([
    ['least connections', new LeastConnections()],
    ['round robin', new SmoothRoundRobin('equal', 7)],
    ['consistent hash', new ConsistentHash((target) => target)],
  ])('with %s tries each node once, the better ones first', (_name, strategy) => {
    const { table, balancer } = fleet(3, strategy);
    table.statusChanged({ nodeId: 'n2', incarnation: 1, statusSeq: 2, to: 'degraded', reason: 'stale' }, 1);
    const tried: Candidate[] = [];
    for (;;) {
      const chosen = balancer.choose('/x', tried, 1);
      if (chosen === undefined) break;
      tried.push(chosen);
    }
    expect(tried.map(({ id }) => id).toSorted()).toEqual(['n1', 'n2', 'n3']);
    expect(tried[2]?.id).toBe('n2');
  });

  it('has nobody to offer when no node is known', () => {
    const balancer = new LoadBalancer(new NodeTable([]), {
      strategy: new LeastConnections(),
      slowStartMs: 0,
    });
    expect(balancer.choose('/', [], 0)).toBeUndefined();
    expect(balancer.tick(0)).toEqual([]);
  });

  it('puts a node that fails again and again behind those that serve, before those that may know nothing', () => {
    const { table, balancer, node } = fleet(6);
    table.statusChanged({ nodeId: 'n2', incarnation: 1, statusSeq: 2, to: 'degraded', reason: 'stale' }, 1);
    table.statusChanged({ nodeId: 'n3', incarnation: 1, statusSeq: 2, to: 'degraded', reason: 'syncing' }, 1);
    table.statusChanged(
      { nodeId: 'n4', incarnation: 1, statusSeq: 2, to: 'degraded', reason: 'draining' },
      1,
    );
    fail(balancer, node('n1'), 5);
    expect(ids(balancer.tiers(1))).toEqual([['n5', 'n6'], ['n2'], ['n1'], ['n3'], ['n4']]);
    expect(balancer.tick(1)).toEqual([{ id: 'n1', ejectedForMs: 30_000 }]);
    expect(balancer.tick(29_999)).toEqual([]);
    expect(balancer.tick(30_000)).toEqual([{ id: 'n1', ejectedForMs: 0 }]);
    expect(ids(balancer.tiers(30_000))[0]).toEqual(['n1', 'n5', 'n6']);
  });

  it('takes an ejected node back when the registry finds it good again, or it began anew', () => {
    const { table, balancer, infos, node } = fleet(3);
    fail(balancer, node('n1'), 5);
    table.listed(infos, 1); // what it said before
    expect(ids(balancer.tiers(1))).toEqual([['n2', 'n3'], ['n1']]);
    table.statusChanged(
      { nodeId: 'n1', incarnation: 1, statusSeq: 2, to: 'degraded', reason: 'not-ready' },
      2,
    );
    table.statusChanged({ nodeId: 'n1', incarnation: 1, statusSeq: 3, to: 'healthy', reason: null }, 3);
    expect(ids(balancer.tiers(3))).toEqual([['n1', 'n2', 'n3']]);
    fail(balancer, node('n1'), 5, 3);
    table.registered(info('n1', { incarnation: 2, statusSeq: 4 }), 4);
    expect(ids(balancer.tiers(4))).toEqual([['n1', 'n2', 'n3']]);
  });

  it('suspects nobody any more when fewer than half are usable', () => {
    const { table, balancer, node } = fleet(3);
    fail(balancer, node('n1'), 5);
    table.broke('n2', 1);
    expect(ids(balancer.tiers(1))).toEqual([['n1', 'n3'], ['n2']]);
    table.broke('n3', 2);
    expect(ids(balancer.tiers(2))).toEqual([['n1'], ['n2', 'n3']]);
  });

  it('gives a node that came back its share little by little, but holds nobody back when all are new', () => {
    const { table, balancer, node } = fleet(3);
    expect(['n1', 'n2', 'n3'].map((id) => node(id).ramp)).toEqual([1_000, 1_000, 1_000]);
    table.broke('n1', 60_000);
    balancer.tick(60_000);
    table.answered('n1', 61_000);
    table.listed([info('n1'), info('n2'), info('n3')], 61_000);
    balancer.tick(61_000);
    const shares = [61_000, 68_500, 76_000, 91_000].map((nowMs) => {
      balancer.tick(nowMs);
      return node('n1').ramp;
    });
    expect(shares).toEqual([100, 250, 500, 1_000]);
    expect(node('n2').ramp).toBe(1_000);
  });

  it('repeats freely where the last answer was good, elsewhere from the budget', () => {
    const { balancer, node } = fleet(3);
    fail(balancer, node('n1'), 50);
    expect(balancer.mayRetry(node('n2'))).toBe(true);
    expect(balancer.mayRetry(node('n1'))).toBe(false);
    balancer.succeeded(node('n1'));
    expect(balancer.mayRetry(node('n1'))).toBe(true);
  });

  it('prefers for a retry a node whose last answer was good', () => {
    const { balancer, node } = fleet(3);
    node('n3').active = 100;
    balancer.failed(node('n2'), 0);
    expect(balancer.choose('/', [node('n1')], 0)?.id).toBe('n3');
    expect(balancer.choose('/', [node('n1'), node('n3')], 0)?.id).toBe('n2');
  });

  it('takes another strategy at once and keeps what it knows of the nodes', () => {
    const { balancer, node } = fleet(3, new SmoothRoundRobin('equal', 0));
    node('n1').active = 1;
    node('n2').active = 1;
    fail(balancer, node('n3'), 5);
    balancer.configure({ strategy: new ConsistentHash((target) => target), slowStartMs: 0 });
    const chosen = new Set(Array.from({ length: 20 }, () => balancer.choose('/same', [], 0)?.id));
    expect(chosen.size).toBe(1);
    expect(ids(balancer.tiers(0))).toEqual([['n1', 'n2'], ['n3']]);
  });

  it('counts what is under way exactly, and by the standing at which a node was chosen', () => {
    const { table, balancer, node } = fleet(2);
    balancer.sent(node('n1'));
    table.statusChanged({ nodeId: 'n1', incarnation: 1, statusSeq: 2, to: 'degraded', reason: 'syncing' }, 1);
    balancer.tick(1);
    balancer.sent(node('n1'));
    expect([node('n1').active, balancer.active]).toEqual([2, 2]);
    expect(node('n1').requests).toMatchObject({ healthy: 1, syncing: 1 });
    balancer.over(node('n1'));
    balancer.over(node('n1'));
    expect([node('n1').active, balancer.active]).toEqual([0, 0]);
  });

  it('never offers a node that is loading while a better one is known, and never nobody', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('fail' as const), id: fc.constantFrom('n1', 'n2', 'n3') }),
      fc.record({ do: fc.constant('broke' as const), id: fc.constantFrom('n1', 'n2', 'n3') }),
      fc.record({
        do: fc.constantFrom('syncing' as const, 'healthy' as const),
        id: fc.constantFrom('n1', 'n2', 'n3'),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const { table, balancer, node } = fleet(3);
        for (const [i, { do: what, id }] of steps.entries()) {
          const at = { nodeId: id, incarnation: 1, statusSeq: i + 2 };
          if (what === 'fail') balancer.failed(node(id), i);
          else if (what === 'broke') table.broke(id, i);
          else if (what === 'syncing') table.statusChanged({ ...at, to: 'degraded', reason: 'syncing' }, i);
          else table.statusChanged({ ...at, to: 'healthy', reason: null }, i);
          const chosen = balancer.choose('/', [], i);
          if (chosen === undefined || balancer.tiers(i).flat().length !== 3) return false;
          const better = ['n1', 'n2', 'n3'].some((one) =>
            ['healthy', 'ejected'].includes(node(one).standing),
          );
          if (better && chosen.standing === 'syncing') return false;
        }
        return true;
      }),
      { numRuns: 10_000 },
    );
  });
});
