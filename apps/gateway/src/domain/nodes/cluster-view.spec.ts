import { describe, expect, it } from 'vitest';
import { nodeView } from './cluster-view.js';
import { NodeTable } from './node-table.js';

describe('a node as it is shown', () => {
  const leader = { term: 2, id: 'n1', address: 'http://n1' };
  const table = new NodeTable([
    { id: 'n1', address: 'http://n1' },
    { id: 'n2', address: 'http://n2' },
  ]);
  const shown = (id: string) => {
    const node = table.get(id);
    return node && nodeView(node, leader, 10);
  };

  it('leads when the cluster says so, whatever it says itself', () => {
    table.probed({ nodeId: 'n2', incarnation: 1, role: 'leader', version: 7 }, 0);
    expect(shown('n1')?.role).toBe('leader');
    expect(shown('n2')).toMatchObject({ role: 'follower', lag: 3 });
    table.probed({ nodeId: 'n2', incarnation: 1, role: 'candidate', version: 12 }, 0);
    expect(shown('n2')).toMatchObject({ role: 'candidate', lag: 0 });
  });

  it('is shown as seen from here while the registry has not told of it', () => {
    expect(shown('n2')).toMatchObject({ status: 'degraded', reason: 'syncing' });
    table.broke('n2', 1);
    expect(shown('n2')).toMatchObject({ status: 'degraded', reason: 'unreachable' });
  });
});
