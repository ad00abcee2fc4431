import { describe, expect, it } from 'vitest';
import { judge, type StatusEvidence } from './status.js';

const fresh: StatusEvidence = {
  kind: 'config-node',
  condition: undefined,
  verdict: undefined,
  silent: false,
  recovering: false,
  checks: undefined,
  drained: false,
  quarantined: false,
};
const well: StatusEvidence = { ...fresh, condition: 'ok' };
const failed = { verdict: 'failed', reason: 'process-down' } as const;
const unresponsive = { verdict: 'failed', reason: 'unresponsive' } as const;

const cases: [string, StatusEvidence, string][] = [
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
  // Contradictions: the first rule that applies decides.
  ['a quarantined one that looks well', { ...well, quarantined: true }, 'failed quarantined'],
  [
    'a quarantined one that is gone',
    { ...well, quarantined: true, verdict: failed, silent: true, checks: 'unanswered' },
    'failed quarantined',
  ],
  [
    'a quarantined one that stops',
    { ...well, quarantined: true, condition: 'stopping' },
    'shutting-down stopping',
  ],
  [
    'a stopping one that nobody reaches',
    { ...well, condition: 'stopping', silent: true, checks: 'unanswered', drained: true },
    'shutting-down stopping',
  ],
  [
    'failed by witnesses, while checks pass and heartbeats arrive',
    { ...well, verdict: unresponsive },
    'failed unresponsive',
  ],
  [
    'failed by witnesses, while checks find it not ready',
    { ...well, verdict: failed, checks: 'not-ready' },
    'failed process-down',
  ],
  [
    'missed by the bus and by checks, with nobody to give a verdict',
    { ...well, silent: true, checks: 'unanswered' },
    'failed unresponsive',
  ],
  [
    'missed by both, while an old verdict says that only the bus misses it',
    {
      ...well,
      silent: true,
      checks: 'unanswered',
      verdict: { verdict: 'degraded', reason: 'bus-partitioned' },
    },
    'failed unresponsive',
  ],
  [
    'silent, but it answers that it is not ready',
    { ...well, silent: true, checks: 'not-ready' },
    'degraded not-ready',
  ],
  [
    'reached by nobody over HTTP, heartbeats arrive',
    { ...well, checks: 'unanswered' },
    'degraded unreachable',
  ],
  ['alive and not ready', { ...well, checks: 'not-ready' }, 'degraded not-ready'],
  [
    'not ready, which a stale view does not explain',
    { ...well, condition: 'stale', checks: 'not-ready' },
    'degraded not-ready',
  ],
  [
    'not ready, because it catches up',
    { ...well, condition: 'syncing', checks: 'not-ready' },
    'degraded syncing',
  ],
  [
    'not ready, because it met another database',
    { ...well, condition: 'wrong-database', checks: 'not-ready' },
    'degraded wrong-database',
  ],
  ['not ready, and not heard yet', { ...fresh, checks: 'not-ready' }, 'degraded syncing'],
  [
    'a leader that cannot lead, and is not ready either',
    { ...well, checks: 'not-ready', verdict: { verdict: 'degraded', reason: 'cannot-lead' } },
    'degraded cannot-lead',
  ],
  [
    'degraded by witnesses, unreachable by checks',
    { ...well, checks: 'unanswered', verdict: { verdict: 'degraded', reason: 'cannot-lead' } },
    'degraded cannot-lead',
  ],
  [
    'unreachable to witnesses, while checks pass',
    { ...well, verdict: { verdict: 'degraded', reason: 'unreachable' } },
    'degraded unreachable',
  ],
  [
    'a service that is silent and drained',
    { ...well, kind: 'service', silent: true, drained: true },
    'failed unresponsive',
  ],
  ['a drained one that is well', { ...well, drained: true }, 'degraded draining'],
  ['a drained one that has just come back', { ...fresh, drained: true }, 'degraded draining'],
  ['a drained one that is stale', { ...well, condition: 'stale', drained: true }, 'degraded draining'],
  [
    'a drained one that nobody reaches',
    { ...well, checks: 'unanswered', drained: true },
    'degraded unreachable',
  ],
  ['a drained one that the bus misses', { ...well, silent: true, drained: true }, 'degraded bus-partitioned'],
  ['a drained one that recovers', { ...well, recovering: true, drained: true }, 'degraded draining'],
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
