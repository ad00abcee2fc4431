import { describe, expect, it } from 'vitest';
import { choosePrimary } from './primary-choice.js';

const server = (host: string, timeline: number, term: number) => ({ host, timeline, term });

describe('finding 16: of several writable servers', () => {
  it.each([
    ['the only one', [server('a', 1, 5)], 0, 'a'],
    ['the one of the later timeline', [server('a', 1, 10), server('b', 2, 10)], 0, 'b'],
    ['the one of the later term', [server('a', 2, 10), server('b', 2, 11)], 0, 'a or b: b'],
    ['none that is older than what was used', [server('a', 1, 10)], 2, 'older-timeline'],
    ['none, where both were written to', [server('a', 1, 12), server('b', 2, 10)], 2, 'disagree'],
    ['none, where nothing tells them apart', [server('a', 2, 10), server('b', 2, 10)], 0, 'disagree'],
    ['none of none', [], 3, 'none'],
  ] as const)('it takes %s', (_, servers, known, expected) => {
    for (const order of [servers, servers.toReversed()]) {
      const choice = choosePrimary(order, known);
      expect(choice.type === 'primary' ? choice.server.host : choice.why).toBe(expected.split(': ').at(-1));
    }
  });
});
