import { describe, expect, it } from 'vitest';
import type { Candidate } from './node-table.js';
import { chooseNode, RoundRobin } from './rotation.js';

const node = (id: string): Candidate => ({ id, address: `http://${id}` });
const request = { target: '/' };

describe('the rotation', () => {
  it('gives every node of the best tier the same share', () => {
    const tiers = [[node('a'), node('b'), node('c')], [node('d')]];
    const strategy = new RoundRobin(0);
    const counts: Record<string, number> = {};
    for (let i = 0; i < 300; i++) {
      const id = chooseNode(tiers, [], strategy, request)?.id ?? '-';
      counts[id] = (counts[id] ?? 0) + 1;
    }
    expect(counts).toEqual({ a: 100, b: 100, c: 100 });
  });

  it('tries each node once, the better ones first', () => {
    const tiers = [[node('a'), node('b')], [node('c')]];
    const strategy = new RoundRobin(7);
    const tried: string[] = [];
    for (;;) {
      const chosen = chooseNode(tiers, tried, strategy, request);
      if (chosen === undefined) break;
      tried.push(chosen.address);
    }
    expect(tried.slice(0, 2).sort()).toEqual(['http://a', 'http://b']);
    expect(tried[2]).toBe('http://c');
    expect(tried).toHaveLength(3);
  });

  it('has nobody to offer when no node is known', () => {
    expect(chooseNode([], [], new RoundRobin(0), request)).toBeUndefined();
  });
});
