import { describe, expect, it } from 'vitest';
import { assess, type DetectorTimings, type NodeEvidence, type Surroundings } from './evidence.js';

const timings: DetectorTimings = {
  heartbeatTimeoutMs: 1_250,
  pingMisses: 3,
  pingTimeoutMs: 500,
  steadyPings: 4,
  refusalsApartMs: 20,
  cannotLeadAfterMs: 2_000,
};
const NOW = 100_000;
const well: NodeEvidence = {
  nodeId: 'node-1',
  incarnation: 7,
  heardAtMs: NOW - 300,
  steadySinceMs: 0,
  pingOks: 9,
  pingMisses: 0,
  missingSinceMs: undefined,
  tether: 'open',
  tetherClosedAtMs: undefined,
  refusedAtMs: [],
  fenceConfirmedAtMs: undefined,
};
const around: Surroundings = {
  nowMs: NOW,
  hearingSinceMs: 0,
  writingSinceMs: 0,
  leader: { nodeId: 'node-9', incarnation: 1, sinceMs: 0 },
  allowanceMs: 0,
};
/** The witness itself was delayed by 100 ms in the last seconds. */
const delayed: Partial<Surroundings> = { allowanceMs: 300 };
const leading: Surroundings = { ...around, leader: { nodeId: 'node-1', incarnation: 7, sinceMs: 0 } };
const confirmed = { ...well, fenceConfirmedAtMs: NOW - 900 };
const crashed: Partial<NodeEvidence> = {
  tether: 'closed',
  tetherClosedAtMs: NOW - 25,
  refusedAtMs: [NOW - 24, NOW - 2],
};
const unanswered: Partial<NodeEvidence> = { pingOks: 0, pingMisses: 3, missingSinceMs: NOW - 1_000 };
const silent: Partial<NodeEvidence> = { heardAtMs: NOW - 1_251 };

const cases: [string, NodeEvidence, Surroundings, string | undefined][] = [
  ['all is well', well, around, undefined],
  ...[2_001, 2_023, 2_040, 2_052].map((ago): [string, NodeEvidence, Surroundings, string | undefined] => [
    `report 11: a fence confirmed ${ago} ms ago, seen by a delayed witness`,
    { ...well, fenceConfirmedAtMs: NOW - ago },
    { ...leading, ...delayed },
    undefined,
  ]),
  [
    'report 11: a fence that is older than the witness was delayed',
    { ...well, fenceConfirmedAtMs: NOW - 2_301 },
    { ...leading, ...delayed },
    'cannot-lead',
  ],
  [
    'report 11: unanswered pings and heartbeats that are as late as the witness itself',
    { ...well, ...unanswered, ...silent },
    { ...around, ...delayed },
    undefined,
  ],
  ['closed, refused twice 22 ms apart', { ...well, ...crashed }, around, 'process-down'],
  [
    'closed, refused twice within 19 ms',
    { ...well, ...crashed, refusedAtMs: [NOW - 21, NOW - 2] },
    around,
    undefined,
  ],
  ['closed, refused once', { ...well, ...crashed, refusedAtMs: [NOW - 24] }, around, undefined],
  ['closed, not yet dialled', { ...well, ...crashed, refusedAtMs: [] }, around, undefined],
  ['refused, but we never held a connection', { ...well, ...crashed, tether: 'none' }, around, undefined],
  ['neither heartbeats nor pings', { ...well, ...silent, ...unanswered }, around, 'unresponsive'],
  [
    'no pings, and the bus is away',
    { ...well, ...silent, ...unanswered },
    { ...around, hearingSinceMs: undefined },
    'unresponsive',
  ],
  ['two misses only', { ...well, ...silent, ...unanswered, pingMisses: 2 }, around, undefined],
  ['heartbeats silent, pings answered again just now', { ...well, ...silent, pingOks: 3 }, around, undefined],
  ['heartbeats silent, pings answered', { ...well, ...silent }, around, 'bus-partitioned'],
  [
    'just as silent, but the bus is away',
    { ...well, ...silent },
    { ...around, hearingSinceMs: undefined },
    undefined,
  ],
  [
    'just as silent, but the bus came back just now',
    { ...well, ...silent },
    { ...around, hearingSinceMs: NOW - 1_000 },
    undefined,
  ],
  ['silent at the very limit', { ...well, heardAtMs: NOW - 1_250 }, around, undefined],
  [
    'pings fail, and the last heartbeat is as old',
    { ...well, ...unanswered, heardAtMs: NOW - 900 },
    around,
    undefined,
  ],
  [
    'pings fail, heartbeats arrive again just now',
    { ...well, ...unanswered, steadySinceMs: NOW - 300 },
    around,
    undefined,
  ],
  ['pings fail, heartbeats arrive', { ...well, ...unanswered }, around, 'unreachable'],
  ['a leader whose fence is fresh', confirmed, leading, undefined],
  ['a leader whose fence is old', { ...well, fenceConfirmedAtMs: NOW - 2_001 }, leading, 'cannot-lead'],
  ['an old fence of one that does not lead', { ...well, fenceConfirmedAtMs: NOW - 9_000 }, around, undefined],
  [
    'an old fence, and we cannot write either',
    { ...well, fenceConfirmedAtMs: NOW - 9_000 },
    { ...leading, writingSinceMs: undefined },
    undefined,
  ],
  [
    'an old fence, and we can write again since 1 s',
    { ...well, fenceConfirmedAtMs: NOW - 9_000 },
    { ...leading, writingSinceMs: NOW - 1_000 },
    undefined,
  ],
  [
    'a new leader that has not confirmed yet',
    well,
    { ...leading, leader: { nodeId: 'node-1', incarnation: 7, sinceMs: NOW - 3_900 } },
    undefined,
  ],
  [
    'a new leader that never confirms',
    well,
    { ...leading, leader: { nodeId: 'node-1', incarnation: 7, sinceMs: NOW - 4_001 } },
    'cannot-lead',
  ],
  ['a leader that answers nobody but the bus', { ...confirmed, ...unanswered }, leading, 'cannot-lead'],
  [
    'the same, and we cannot write',
    { ...confirmed, ...unanswered },
    { ...leading, writingSinceMs: undefined },
    'unreachable',
  ],
  ['a leader that is gone', { ...confirmed, ...crashed }, leading, 'process-down'],
  ['a leader that is frozen', { ...confirmed, ...silent, ...unanswered }, leading, 'unresponsive'],
];

describe('assess', () => {
  it.each(cases)('%s', (_name, node, surroundings, expected) => {
    expect(assess(node, surroundings, timings)?.reason).toBe(expected);
  });

  it('tells since when', () => {
    expect(assess({ ...well, ...crashed }, around, timings)?.sinceMs).toBe(NOW - 25);
    expect(assess({ ...well, ...silent, ...unanswered }, around, timings)?.sinceMs).toBe(NOW - 1_000);
  });
});
