import { expect, it } from 'vitest';
import { CheckTargets } from './check-targets.js';

it('learns of a node once, and when it has moved', () => {
  const targets = new CheckTargets();
  expect(targets.update({ nodeId: 'node-1', incarnation: 0, address: 'http://a' })).toBe('new');
  expect(targets.update({ nodeId: 'node-1', incarnation: 7 })).toBe('same');
  expect(targets.get('node-1')).toEqual({ nodeId: 'node-1', incarnation: 7, address: 'http://a' });
  expect(targets.update({ nodeId: 'node-1', incarnation: 8, address: 'http://b' })).toBe('moved');
  expect(targets.update({ nodeId: 'node-1', incarnation: 7, address: 'http://a' })).toBe('same');
  expect(targets.get('node-1')?.address).toBe('http://b');
});

it('forgets one that left, but not for an incarnation that left before', () => {
  const targets = new CheckTargets();
  targets.update({ nodeId: 'node-1', incarnation: 7 });
  expect(targets.forget('node-1', 6)).toBe(false);
  expect(targets.forget('node-1', 7)).toBe(true);
  expect(targets.all()).toEqual([]);
});

it('has a bound', () => {
  const targets = new CheckTargets();
  for (let i = 0; i < 2_000; i++) targets.update({ nodeId: `node-${i}`, incarnation: 1 });
  expect(targets.all()).toHaveLength(1_000);
});
