import { describe, expect, it } from 'vitest';
import type { NodeHold } from '#libs/contracts';
import { RestrictionsView } from './restrictions-view.js';

function view() {
  const clock = { wallMs: () => Date.parse('2026-01-01T12:00:00Z'), monotonicMs: () => 0 };
  return new RestrictionsView(clock);
}
const hold = (seq: number, change: Partial<NodeHold> = {}): NodeHold => ({
  ...{ nodeId: 'node-1', seq, drained: false, quarantinedUntil: null, by: 'failover-1', why: '', at: '' },
  ...change,
});

describe('HoldsView', () => {
  it.each([
    [{ drained: true }, 'drained'],
    [{ quarantinedUntil: '2026-01-01T12:00:01.000Z' }, 'quarantined'],
    [{ quarantinedUntil: '2026-01-01T11:59:59.000Z' }, undefined],
    [{ drained: true, quarantinedUntil: '2026-01-01T12:00:01.000Z' }, 'drained'],
    [{}, undefined],
  ])('of %j says %s', (change, reason) => {
    const holds = view();
    holds.apply(hold(1, change));
    expect([holds.reason('node-1'), holds.isHeld('node-1')]).toEqual([reason, reason !== undefined]);
    expect(holds.isHeld('node-2')).toBe(false);
  });

  it('lets the greatest seq count, in whatever order they come', () => {
    const holds = view();
    holds.apply(hold(3));
    holds.apply(hold(2, { drained: true }));
    expect(holds.isHeld('node-1')).toBe(false);
    holds.apply(hold(4, { drained: true }));
    expect(holds.isHeld('node-1')).toBe(true);
  });
});
