import { describe, expect, it } from 'vitest';
import {
  nextToRestart,
  type RestartCandidate,
  type RollingProcess,
  whyNotBack,
  whyNotNow,
} from './rolling-order.js';

const PROCESSES: RollingProcess[] = [
  { name: 'gateway-1', kind: 'gateway' },
  { name: 'node-1', kind: 'node' },
  { name: 'node-2', kind: 'node' },
  { name: 'registry', kind: 'service' },
  { name: 'node-4', kind: 'node' },
  { name: 'gateway-2', kind: 'gateway' },
];
const node = (id: string, role: string, change: Partial<RestartCandidate> = {}): RestartCandidate => ({
  ...{ id, role, status: 'healthy', reason: null, incarnation: 7, lag: 0 },
  ...change,
});

describe('a rolling restart', () => {
  it('goes from observers over followers and the leader to services and gateways', () => {
    const nodes = [node('node-1', 'leader'), node('node-2', 'follower'), node('node-4', 'observer')];
    const order: string[] = [];
    let left = PROCESSES;
    for (let next = nextToRestart(left, nodes); next; next = nextToRestart(left, nodes)) {
      const { name } = next;
      order.push(name);
      left = left.filter((process) => process.name !== name);
    }
    expect(order).toEqual(['node-4', 'node-2', 'node-1', 'registry', 'gateway-1', 'gateway-2']);
  });

  it('follows leadership that moves meanwhile', () => {
    const moved = [node('node-1', 'follower'), node('node-2', 'leader')];
    expect(nextToRestart(PROCESSES.slice(1, 3), moved)?.name).toBe('node-1');
    expect(nextToRestart([], moved)).toBeUndefined();
  });

  it.each([
    [undefined, 'the gateway does not list it'],
    [node('node-1', 'follower', { incarnation: 6 }), 'it has not come back as a new incarnation'],
    [node('node-1', 'follower', { status: 'degraded', reason: 'syncing' }), 'it is degraded (syncing)'],
    [node('node-1', 'follower', { lag: 51 }), 'it is 51 versions behind'],
    [node('node-1', 'follower', { lag: 50 }), undefined],
  ])('waits while %j: %s', (seen, why) => {
    expect(whyNotBack(seen, 6)).toBe(why);
  });

  it.each([
    [[node('node-1', 'leader')], 'node-1', undefined],
    [[node('node-1', 'follower')], null, 'there is no leader'],
    [
      [node('node-1', 'leader'), node('node-2', 'follower', { status: 'failed', reason: 'unresponsive' })],
      'node-1',
      'node-2 is failed (unresponsive)',
    ],
    [
      [node('node-1', 'leader'), node('node-2', 'follower', { status: 'degraded', reason: 'draining' })],
      'node-1',
      undefined,
    ],
  ])('does not begin on a cluster that is not well: %j', (nodes, leaderId, why) => {
    expect(whyNotNow(nodes, leaderId)).toBe(why);
  });
});
