import { describe, expect, it } from 'vitest';
import type { PollReply } from '#libs/contracts';
import { levelWithinMs, mayClaim, type Preparation, prepare } from './handover-plan.js';

const CHAIN = 'a'.repeat(64);
const reply = (nodeId: string, change: Partial<PollReply> = {}): PollReply => ({
  nodeId,
  incarnation: 1,
  address: 'http://127.0.0.1:1',
  eligible: true,
  reason: null,
  term: 1,
  version: 10,
  chain: CHAIN,
  priority: 100,
  healthy: true,
  ...change,
});
const draining = (nodeId: string) => reply(nodeId, { eligible: false, reason: 'draining' });
const syncing = (nodeId: string) => reply(nodeId, { eligible: false, reason: 'syncing' });
const ask = (change: Partial<Preparation>): Preparation => ({
  leaderId: 'node-1',
  leaderVersion: 10,
  wanted: undefined,
  replies: [],
  asked: 2,
  elapsedMs: 0,
  patienceMs: 1_000,
  ...change,
});

const cases: [string, Partial<Preparation>, string][] = [
  [
    'whoever is level',
    { replies: [reply('node-1'), reply('node-2', { version: 9 }), reply('node-3')] },
    'pause node-3',
  ],
  ['the one asked for', { wanted: 'node-3', replies: [reply('node-2'), reply('node-3')] }, 'pause node-3'],
  ['ahead counts as level', { replies: [reply('node-2', { version: 11 })] }, 'pause node-2'],
  ['behind: ask again', { replies: [reply('node-2', { version: 9 })] }, 'ask-again'],
  ['no answer: ask again', {}, 'ask-again'],
  [
    'behind for too long',
    { wanted: 'node-2', replies: [reply('node-2', { version: 7 })], elapsedMs: 1_000 },
    'no-available-node',
  ],
  [
    'cannot write',
    { replies: [reply('node-2', { eligible: false, reason: 'storage-unavailable' })], elapsedMs: 1_000 },
    'no-available-node',
  ],
  ['all others are stopping', { replies: [draining('node-2'), draining('node-3')] }, 'no-available-node'],
  ['the others that are left are stopping', { asked: 1, replies: [draining('node-2')] }, 'no-available-node'],
  ['no other is left', { asked: 0 }, 'no-available-node'],
  ['one is stopping, one does not answer', { replies: [draining('node-2')] }, 'ask-again'],
  ['one is stopping, one is syncing', { replies: [draining('node-2'), syncing('node-3')] }, 'ask-again'],
  [
    'the one asked for is stopping',
    { wanted: 'node-2', asked: 1, replies: [draining('node-2')] },
    'no-available-node',
  ],
  [
    'an observer',
    { wanted: 'node-4', replies: [reply('node-4', { eligible: false, reason: 'observer' })] },
    'precondition-failed',
  ],
  ['it leads already', { wanted: 'node-1' }, 'already-leads'],
];

describe('prepare', () => {
  it.each(cases)('%s', (_name, change, expected) => {
    const next = prepare(ask(change));
    const shown =
      next.step === 'pause' ? `pause ${next.target.nodeId}` : next.step === 'refuse' ? next.code : next.step;
    expect(shown).toBe(expected);
  });
});

describe('levelWithinMs', () => {
  it('leaves the time that a claim takes before the pause ends', () => {
    const left = (askedAgoMs: number) => levelWithinMs({ askedAgoMs, lastsMs: 2_000, claimTakesMs: 500 });
    expect([left(20), left(1_400), left(1_500), left(2_600)]).toEqual([1_480, 100, 0, 0]);
  });
});

describe('mayClaim', () => {
  const paused = { term: 1, version: 12, chain: CHAIN };
  it('demands exactly the history that the leader ended with', () => {
    expect(mayClaim(paused, reply('node-2', { version: 12 }))).toBe(true);
    expect(mayClaim(paused, reply('node-2', { version: 11 }))).toBe(false);
    expect(mayClaim(paused, reply('node-2', { version: 12, chain: 'b'.repeat(64) }))).toBe(false);
    expect(mayClaim(paused, reply('node-2', { version: 12, eligible: false }))).toBe(false);
  });
});
