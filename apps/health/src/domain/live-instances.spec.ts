import { describe, expect, it } from 'vitest';
import { LiveInstances, shareOf } from './live-instances.js';

const subject = () => new LiveInstances('health-1', 1_250);

describe('the instances that share the work', () => {
  it('are this one, and those heard of lately', () => {
    const instances = subject();
    expect(instances.alive(0, 'bus')).toEqual(['health-1']);
    instances.observe('health-3', 0);
    instances.observe('health-2', 1_000);
    instances.observe('health-1', 1_000);
    expect(instances.alive(1_250, 'bus')).toEqual(['health-1', 'health-2', 'health-3']);
    expect(instances.alive(1_251, 'bus')).toEqual(['health-1', 'health-2']);
    instances.left('health-2');
    expect(instances.alive(1_252, 'bus')).toEqual(['health-1']);
  });

  it('are those with a young row while the bus is silent', () => {
    const instances = subject();
    instances.observe('health-2', 0);
    instances.rows(['health-3']);
    expect(instances.alive(1, 'bus')).toEqual(['health-1', 'health-2']);
    expect(instances.alive(1, 'rows')).toEqual(['health-1', 'health-3']);
    instances.rows([]);
    expect(instances.alive(1, 'rows')).toEqual(['health-1']);
  });

  it('are not missed while nothing could be heard', () => {
    const instances = subject();
    instances.observe('health-2', 0);
    instances.resetDeadlines(10_000);
    expect(instances.alive(11_250, 'bus')).toEqual(['health-1', 'health-2']);
  });

  it('have a bound', () => {
    const instances = subject();
    for (let i = 0; i < 1_000; i++) instances.observe(`other-${i}`, 0);
    expect(instances.alive(0, 'bus')).toHaveLength(101);
  });
});

describe('the share of an instance', () => {
  const nodes = Array.from({ length: 50 }, (_, i) => `node-${i}`);

  it('leaves no node out and gives none to two', () => {
    const all = ['health-1', 'health-2', 'health-3'];
    const shares = all.map((self) => shareOf(self, nodes, all));
    expect(shares.flatMap((share) => [...share]).sort()).toEqual([...nodes].sort());
  });

  it('only grows when another leaves', () => {
    const before = shareOf('health-1', nodes, ['health-1', 'health-2', 'health-3']);
    const after = shareOf('health-1', nodes, ['health-1', 'health-3']);
    for (const nodeId of before) expect(after).toContain(nodeId);
    expect(after.size).toBeGreaterThan(before.size);
  });
});
