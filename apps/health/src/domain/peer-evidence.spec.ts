import { expect, it } from 'vitest';
import type { HealthChanged } from '#libs/contracts';
import { PeerEvidence } from './peer-evidence.js';

const change = (seq: number, of: Partial<HealthChanged> = {}): HealthChanged => ({
  nodeId: 'node-1',
  incarnation: 100,
  health: 'down',
  reason: 'refused',
  observer: 'health-1',
  seq,
  evidence: {},
  at: '2026-01-01T00:00:00.000Z',
  ...of,
});
const up = (seq: number, of: Partial<HealthChanged> = {}) =>
  change(seq, { health: 'up', reason: null, ...of });

it('of one node the greatest (incarnation, seq) counts', () => {
  const evidence = new PeerEvidence(5_000);
  expect(evidence.apply(change(7), 0)).toBe('newer');
  expect(evidence.apply(change(6), 0)).toBe('old');
  expect(evidence.apply(change(7), 0)).toBe('renewed');
  expect(evidence.apply(up(1, { incarnation: 101 }), 0)).toBe('newer');
  expect(evidence.apply(change(99), 0)).toBe('old');
  expect(evidence.standing(0)).toEqual([up(1, { incarnation: 101 })]);
});

it('against a node is told on only while its sender renews it', () => {
  const evidence = new PeerEvidence(5_000);
  evidence.apply(change(1), 0);
  evidence.apply(up(1, { nodeId: 'node-2' }), 0);
  evidence.apply(change(1), 3_000);
  const told = (nowMs: number) => evidence.standing(nowMs).map(({ nodeId }) => nodeId);
  expect(told(8_000)).toEqual(['node-1', 'node-2']);
  expect(told(8_001)).toEqual(['node-2']);
  expect(evidence.apply(change(2), 9_000)).toBe('newer');
  expect(told(9_000)).toEqual(['node-1', 'node-2']);
  evidence.forget('node-1');
  expect(told(9_000)).toEqual(['node-2']);
});
