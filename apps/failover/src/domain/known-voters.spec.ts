import { describe, expect, it } from 'vitest';
import { KnownVoters } from './known-voters.js';

describe('NodeDirectory', () => {
  it('starts from seeds and takes the word of later incarnations', () => {
    const nodes = new KnownVoters();
    expect(nodes.update({ nodeId: 'node-1', incarnation: 0, address: 'http://a:1' })).toBe('new');
    expect(nodes.update({ nodeId: 'node-1', incarnation: 5, role: 'leader' })).toBe('same');
    expect(nodes.update({ nodeId: 'node-1', incarnation: 6, address: 'http://b:1' })).toBe('moved');
    expect(nodes.update({ nodeId: 'node-1', incarnation: 5, address: 'http://a:1' })).toBe('same');
    expect(nodes.get('node-1')).toEqual({
      nodeId: 'node-1',
      incarnation: 6,
      address: 'http://b:1',
      role: 'leader',
    });
  });

  it('knows who votes', () => {
    const nodes = new KnownVoters();
    nodes.update({ nodeId: 'node-1', incarnation: 0 });
    nodes.update({ nodeId: 'node-4', incarnation: 2, role: 'observer' });
    expect(nodes.voters().map((node) => node.nodeId)).toEqual(['node-1']);
  });

  it('forgets one that left, not its successor', () => {
    const nodes = new KnownVoters();
    nodes.update({ nodeId: 'node-1', incarnation: 6 });
    expect(nodes.forget('node-1', 5)).toBe(false);
    expect(nodes.forget('node-1', 6)).toBe(true);
    expect(nodes.all()).toEqual([]);
  });
});
