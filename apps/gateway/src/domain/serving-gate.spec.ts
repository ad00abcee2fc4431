import { describe, expect, it } from 'vitest';
import { isReady, type ServingEvidence, ServingGate, type ServingState } from './serving-gate.js';

const nothing = { nodeAnswers: false, leaderConfirmed: false, leaderWasConfirmed: false, nodeInSync: false };
const answers = { ...nothing, nodeAnswers: true };
const leads = { ...answers, leaderConfirmed: true, leaderWasConfirmed: true };
const all = { ...leads, nodeInSync: true };

type Step = [atMs: number, evidence: Omit<ServingEvidence, 'nowMs'>, state: ServingState];

describe('a gateway is ready', () => {
  it.each<[string, Step[]]>([
    ['not before a node answers', [[0, nothing, 'no-node']]],
    ['not with followers alone', [[0, answers, 'starting']]],
    ['not with a leader whose nodes are still behind', [[0, leads, 'starting']]],
    ['when a leader is confirmed and a node is in sync', [[0, all, 'serving']]],
    [
      'for reads while the leader is away later',
      [
        [0, all, 'serving'],
        [1, answers, 'reads-only'],
        [2, leads, 'serving'],
      ],
    ],
    [
      'for reads when it is first asked after the leader has gone',
      [[0, { ...answers, leaderWasConfirmed: true, nodeInSync: true }, 'reads-only']],
    ],
    [
      'not while no node answers later, and at once when one does',
      [
        [0, all, 'serving'],
        [1, nothing, 'no-node'],
        [2, answers, 'reads-only'],
      ],
    ],
    [
      'for reads when it starts during an outage of writes, after ten seconds',
      [
        [9_999, answers, 'starting'],
        [10_000, answers, 'reads-only'],
        [10_001, all, 'serving'],
      ],
    ],
  ])('%s', (_what, steps) => {
    const gate = new ServingGate(0);
    for (const [nowMs, evidence, state] of steps) expect(gate.judge({ nowMs, ...evidence })).toBe(state);
  });

  it.each<[ServingState, boolean]>([
    ['starting', false],
    ['no-node', false],
    ['serving', true],
    ['reads-only', true],
  ])('in the state %s: %s', (state, ready) => {
    expect(isReady(state)).toBe(ready);
  });
});
