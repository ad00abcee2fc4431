import { describe, expect, it } from 'vitest';
import {
  decideQuorum,
  isSettled,
  LoneWitness,
  type QuorumQuestion,
  type WitnessVote,
} from './witness-quorum.js';

const says = (instanceId: string, view: WitnessVote['view'], agrees = false): WitnessVote => ({
  instanceId,
  view,
  agrees,
});
const ask = (change: Partial<QuorumQuestion>): QuorumQuestion => ({
  reason: 'process-down',
  live: ['b', 'c'],
  replies: [],
  mayJudgeAlone: true,
  ...change,
});

const crashes: [string, Partial<QuorumQuestion>, string][] = [
  ['one other lost it too', { replies: [says('b', 'lost')] }, 'confirmed'],
  ['one other still holds its connection', { replies: [says('b', 'connected')] }, 'refuted'],
  ['one lost it, one holds it', { replies: [says('b', 'lost'), says('c', 'connected')] }, 'refuted'],
  ['the others never saw it', { replies: [says('b', 'unknown'), says('c', 'paused')] }, 'alone'],
  ['nobody answers', {}, 'alone'],
  ['nobody answers, for the second time', { mayJudgeAlone: false }, 'alone-too-often'],
  ['no Postgres, nobody answers', { live: undefined }, 'alone'],
];
const silences: [string, Partial<QuorumQuestion>, string][] = [
  ['two of two', { live: ['b'], replies: [says('b', 'lost', true)] }, 'confirmed'],
  ['one of two', { live: ['b'], replies: [says('b', 'connected')] }, 'outvoted'],
  ['one of two, the other knows nothing', { live: ['b'], replies: [says('b', 'unknown')] }, 'outvoted'],
  ['two of three', { replies: [says('b', 'lost', true), says('c', 'connected')] }, 'confirmed'],
  ['one of three', { replies: [says('b', 'connected'), says('c', 'connected')] }, 'outvoted'],
  ['the other was stalled itself', { live: ['b'], replies: [says('b', 'paused')] }, 'alone'],
  ['the other is silent', { live: ['b'], replies: [] }, 'alone'],
  ['the other answers but its row is old', { live: [], replies: [says('b', 'connected')] }, 'alone'],
  ['nobody else lives', { live: [] }, 'alone'],
  ['no Postgres: no claim is possible', { live: undefined, replies: [says('b', 'connected')] }, 'alone'],
];

describe('decideQuorum', () => {
  it.each(crashes)('crash: %s', (_name, change, outcome) => {
    expect(decideQuorum(ask(change)).outcome).toBe(outcome);
  });

  it.each(silences)('time-out: %s', (_name, change, outcome) => {
    expect(decideQuorum(ask({ reason: 'unresponsive', ...change })).outcome).toBe(outcome);
  });

  it('names those who confirmed', () => {
    expect(decideQuorum(ask({ replies: [says('b', 'lost'), says('c', 'unknown')] }))).toEqual({
      outcome: 'confirmed',
      by: ['b'],
    });
  });
});

describe('isSettled', () => {
  it('waits for the live ones, because one of them may refute a crash', () => {
    expect(isSettled(ask({ replies: [says('b', 'lost')] }))).toBe(false);
    expect(isSettled(ask({ replies: [says('b', 'lost'), says('c', 'lost')] }))).toBe(true);
    expect(isSettled(ask({ replies: [says('b', 'connected')] }))).toBe(true);
    expect(isSettled(ask({ live: [] }))).toBe(true);
    expect(isSettled(ask({ live: undefined }))).toBe(false);
  });
});

describe('LoneWitness', () => {
  it('judges once per interval', () => {
    const lone = new LoneWitness(10_000);
    expect(lone.mayJudge(0)).toBe(true);
    lone.judged(0);
    expect(lone.mayJudge(9_999)).toBe(false);
    expect(lone.mayJudge(10_000)).toBe(true);
  });
});
