import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PollReply } from '#libs/contracts';
import { chooseLeader, isBestPossible } from './election-choice.js';

const CHAIN = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const head = { version: 10, chain: CHAIN };
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
const none = () => false;
const chosen = (replies: PollReply[], excluded = none as (reply: PollReply) => boolean) =>
  chooseLeader({ head, replies, excluded })?.nodeId;

const cases: [string, PollReply[], string | undefined][] = [
  ['nobody', [], undefined],
  ['the lowest id of equals', [reply('node-3'), reply('node-1'), reply('node-2')], 'node-1'],
  ['priority before id', [reply('node-1'), reply('node-2', { priority: 101 })], 'node-2'],
  ['version before priority', [reply('node-1', { version: 9, priority: 999 }), reply('node-2')], 'node-2'],
  [
    'finding 13: whoever remembers what the database lost, before priority',
    [reply('node-1', { priority: 999, highestVersion: 10 }), reply('node-2', { highestVersion: 13 })],
    'node-2',
  ],
  [
    'healthy before version',
    [reply('node-1', { healthy: false }), reply('node-2', { version: 9 })],
    'node-2',
  ],
  [
    "the head's chain before all",
    [reply('node-1', { version: 12 }), reply('node-2', { version: 3, healthy: false })],
    'node-2',
  ],
  [
    'another chain at the same version last',
    [reply('node-1', { chain: OTHER }), reply('node-2', { version: 1 })],
    'node-2',
  ],
  ['another chain rather than nobody', [reply('node-1', { chain: OTHER })], 'node-1'],
  ['never one that says it cannot', [reply('node-1', { eligible: false, reason: 'observer' })], undefined],
];

describe('chooseLeader', () => {
  it.each(cases)('%s', (_name, replies, expected) => {
    expect(chosen(replies)).toBe(expected);
  });

  it('leaves the excluded out', () => {
    expect(chosen([reply('node-1'), reply('node-2')], (candidate) => candidate.nodeId === 'node-1')).toBe(
      'node-2',
    );
  });

  it('does not depend on the order of the answers', () => {
    const anyReply = fc.record({
      id: fc.integer({ min: 1, max: 9 }),
      version: fc.integer({ min: 8, max: 12 }),
      priority: fc.integer({ min: 99, max: 101 }),
      healthy: fc.boolean(),
      eligible: fc.boolean(),
      chain: fc.constantFrom(CHAIN, OTHER),
    });
    const anyReplies = fc.uniqueArray(anyReply, { selector: (each) => each.id, maxLength: 7 });
    fc.assert(
      fc.property(anyReplies, fc.infiniteStream(fc.nat()), (some, numbers) => {
        const replies = some.map(({ id, ...rest }) => reply(`node-${id}`, rest));
        const shuffled = replies.toSorted(() => ((numbers.next().value ?? 0) % 2 === 0 ? 1 : -1));
        expect(chosen(shuffled)).toBe(chosen(replies));
      }),
      { numRuns: 10_000 },
    );
  });
});

describe('isBestPossible', () => {
  it('is a healthy one at the highest version known, on the chain', () => {
    expect(isBestPossible(reply('node-1'), head)).toBe(true);
    expect(isBestPossible(reply('node-1', { version: 9 }), head)).toBe(false);
    expect(isBestPossible(reply('node-1', { chain: OTHER }), head)).toBe(false);
    expect(isBestPossible(reply('node-1', { healthy: false }), head)).toBe(false);
  });
});
