import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeInfo, NodeStatus, StatusReason } from '#libs/contracts';
import { NodeTable } from './node-table.js';

const address = (id: string) => `http://127.0.0.1:7${id.at(-1)}00`;

function info(id: string, status: NodeStatus, at: Partial<NodeInfo> = {}): NodeInfo {
  return {
    id,
    kind: 'config-node',
    role: 'follower',
    status,
    reason: null,
    address: address(id),
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

const ids = (table: NodeTable) => table.tiers().map((tier) => tier.map((c) => c.id));

function healthy(...names: string[]): NodeTable {
  const table = new NodeTable([]);
  table.listed(
    names.map((id) => info(id, 'healthy')),
    0,
  );
  return table;
}

describe('the order in which nodes are asked', () => {
  it('is healthy, then degraded, then those without state, then any', () => {
    const table = new NodeTable([]);
    table.listed(
      [
        info('n1', 'failed'),
        info('n2', 'degraded', { reason: 'syncing' }),
        info('n3', 'degraded', { reason: 'stale' }),
        info('n4', 'healthy'),
        info('n5', 'shutting-down'),
      ],
      0,
    );
    expect(ids(table)).toEqual([['n4'], ['n3'], ['n2'], ['n1', 'n5']]);
  });

  it('knows the seeds before anybody spoke, and prefers those that answer', () => {
    const table = new NodeTable([
      { id: 'n1', address: address('n1') },
      { id: 'n2', address: address('n2') },
    ]);
    expect(ids(table)).toEqual([['n1', 'n2']]);
    table.broke('n1', 0);
    table.probed({ nodeId: 'n2', incarnation: 1 }, 0);
    expect(ids(table)).toEqual([['n2'], ['n1']]);
    table.answered('n1', 5);
    expect(ids(table)).toEqual([['n2'], ['n1']]); // the registry is silent: nothing puts it back in
  });

  it('takes a node out at once when a connection broke, and back when it answers and the registry speaks', () => {
    const table = healthy('n1', 'n2');
    table.broke('n1', 10);
    expect(ids(table)).toEqual([['n2'], ['n1']]);
    table.answered('n1', 20);
    expect(ids(table)).toEqual([['n1', 'n2']]);
  });

  it('nothing puts a node back while the registry is silent; the same word later does', () => {
    const table = healthy('n1', 'n2');
    const later = 60_000;
    table.judged({ nodeId: 'n1', incarnation: 1, verdict: 'failed' }, later);
    table.broke('n2', later);
    table.answered('n2', later);
    table.judged({ nodeId: 'n1', incarnation: 1, verdict: 'clear' }, later);
    expect(ids(table)).toEqual([['n1', 'n2']]); // the set is never emptied
    expect(table.get('n1')?.judged).not.toBeNull();
    table.listed([info('n1', 'healthy'), info('n2', 'healthy')], later + 3_000);
    expect(table.get('n1')?.judged).toBeNull();
    expect(table.get('n2')?.brokenAtMs).toBeNull();
  });

  it('a verdict that was followed by another is old news, however late it comes', () => {
    const table = healthy('n1', 'n2');
    const hear = (verdict: 'failed' | 'clear', seq: number) =>
      table.judged({ nodeId: 'n1', incarnation: 1, verdict, seq }, 100);
    expect([hear('failed', 3), hear('clear', 4), hear('failed', 3)]).toEqual([true, true, false]);
    expect(ids(table)).toEqual([['n1', 'n2']]);
  });

  it("a list that was made before the registry could act does not undo failover's verdict", () => {
    const table = healthy('n1', 'n2');
    table.judged({ nodeId: 'n1', incarnation: 1, verdict: 'failed' }, 100);
    table.listed([info('n1', 'healthy'), info('n2', 'healthy')], 150);
    expect(ids(table)).toEqual([['n2'], ['n1']]);
    table.listed([info('n1', 'healthy', { statusSeq: 2 }), info('n2', 'healthy')], 200);
    expect(ids(table)).toEqual([['n1', 'n2']]);
  });

  it('applies a status only when it is greater, whatever order it comes in', () => {
    const statuses: {
      statusSeq: number;
      incarnation: number;
      to: NodeStatus;
      reason: StatusReason | null;
    }[] = [
      { incarnation: 1, statusSeq: 2, to: 'degraded', reason: 'stale' },
      { incarnation: 1, statusSeq: 3, to: 'failed', reason: 'process-down' },
      { incarnation: 2, statusSeq: 4, to: 'degraded', reason: 'syncing' },
      { incarnation: 2, statusSeq: 5, to: 'healthy', reason: null },
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(statuses, { minLength: 1 }), (order) => {
        const table = healthy('n1');
        for (const status of order) table.statusChanged({ nodeId: 'n1', ...status }, 1);
        const greatest = [...order].sort((a, b) => b.statusSeq - a.statusSeq)[0];
        expect(table.get('n1')?.status).toBe(greatest?.to);
      }),
    );
  });

  it('a new incarnation is not trusted for what its predecessor was', () => {
    const table = healthy('n1', 'n2');
    table.heartbeat({ nodeId: 'n1', incarnation: 2, seq: 0, kind: 'config-node' }, 't');
    expect(ids(table)).toEqual([['n2'], ['n1']]);
    expect(table.heartbeat({ nodeId: 'n1', incarnation: 1, seq: 99 }, 't')).toBe(false);
  });

  it('forgets who left, but not seeds', () => {
    const table = new NodeTable([{ id: 'n1', address: address('n1') }]);
    table.listed([info('n1', 'healthy'), info('n2', 'healthy')], 0);
    table.listed([], 1);
    expect(table.all().map((n) => n.id)).toEqual(['n1']);
  });

  it('takes no service for a node', () => {
    const table = new NodeTable([]);
    table.listed([{ ...info('billing-1', 'healthy'), kind: 'service' }], 0);
    table.heartbeat({ nodeId: 'billing-1', incarnation: 1, seq: 1, kind: 'service' }, 't');
    table.heartbeat({ nodeId: 'billing-2', incarnation: 1, seq: 1 }, 't');
    expect(table.all()).toEqual([]);
  });

  it('never empties the set, whatever is said', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('broke' as const), id: fc.constantFrom('n1', 'n2', 'n3') }),
      fc.record({ do: fc.constant('judged' as const), id: fc.constantFrom('n1', 'n2', 'n3') }),
      fc.record({ do: fc.constant('failed' as const), id: fc.constantFrom('n1', 'n2', 'n3') }),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const table = healthy('n1', 'n2', 'n3');
        for (const [i, { do: what, id }] of steps.entries()) {
          if (what === 'broke') table.broke(id, i);
          else if (what === 'judged') table.judged({ nodeId: id, incarnation: 1, verdict: 'failed' }, i);
          else
            table.statusChanged(
              { nodeId: id, incarnation: 1, statusSeq: i + 2, to: 'failed', reason: 'process-down' },
              i,
            );
        }
        expect(table.tiers().flat()).toHaveLength(3);
      }),
    );
  });
});
