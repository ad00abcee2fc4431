import { describe, expect, it } from 'vitest';
import { type Evidence, judge } from './status.js';

const fresh: Evidence = {
  kind: 'config-node',
  condition: undefined,
  verdict: undefined,
  silent: false,
  recovering: false,
};
const well: Evidence = { ...fresh, condition: 'ok' };
const failed = { verdict: 'failed', reason: 'process-down' } as const;
const unresponsive = { verdict: 'failed', reason: 'unresponsive' } as const;

const cases: [string, Evidence, string][] = [
  ['a new member, before its first heartbeat', fresh, 'degraded syncing'],
  ['a new service, before its first heartbeat', { ...fresh, kind: 'service' }, 'degraded syncing'],
  ['a member that says it is well', well, 'healthy null'],
  ['one that catches up', { ...fresh, condition: 'syncing' }, 'degraded syncing'],
  ['one that has not learnt of the head', { ...fresh, condition: 'stale' }, 'degraded stale'],
  ['one that cannot keep up', { ...fresh, condition: 'overloaded' }, 'degraded overloaded'],
  ['one on another database', { ...fresh, condition: 'wrong-database' }, 'degraded wrong-database'],
  ['one that stops', { ...fresh, condition: 'stopping' }, 'shutting-down stopping'],
  [
    'one that stopped and is gone',
    { ...well, condition: 'stopping', verdict: failed, silent: true },
    'shutting-down stopping',
  ],
  ['one whose process is gone', { ...well, verdict: failed }, 'failed process-down'],
  ['one that answers nobody', { ...well, verdict: unresponsive }, 'failed unresponsive'],
  [
    'failed wins over what it says of itself',
    { ...fresh, condition: 'stale', verdict: failed },
    'failed process-down',
  ],
  ['a config node that only the bus misses', { ...well, silent: true }, 'degraded bus-partitioned'],
  ['a service that the bus misses', { ...well, kind: 'service', silent: true }, 'failed unresponsive'],
  [
    'a verdict says more than silence',
    { ...well, silent: true, verdict: unresponsive },
    'failed unresponsive',
  ],
  [
    'heartbeats silent, pings answered',
    { ...well, verdict: { verdict: 'degraded', reason: 'bus-partitioned' } },
    'degraded bus-partitioned',
  ],
  [
    'pings fail, heartbeats arrive',
    { ...well, verdict: { verdict: 'degraded', reason: 'unreachable' } },
    'degraded unreachable',
  ],
  [
    'a leader cut from the database',
    { ...well, verdict: { verdict: 'degraded', reason: 'cannot-lead' } },
    'degraded cannot-lead',
  ],
  ['one that came back from failed', { ...well, recovering: true }, 'degraded recovering'],
  ['back, and catching up', { ...fresh, condition: 'syncing', recovering: true }, 'degraded syncing'],
];

describe('judge', () => {
  it.each(cases)('%s', (_name, evidence, expected) => {
    const { status, reason } = judge(evidence);
    expect(`${status} ${reason}`).toBe(expected);
  });

  it('gives a reason exactly when a member is not healthy', () => {
    for (const [, evidence] of cases) {
      const { status, reason } = judge(evidence);
      expect(reason === null).toBe(status === 'healthy');
    }
  });
});
