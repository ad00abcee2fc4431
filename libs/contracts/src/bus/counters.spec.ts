import { describe, expect, it } from 'vitest';
import {
  COUNTER_MAX,
  Counter,
  EVENTS,
  INCARNATION_AHEAD_MAX_MS,
  isFarAhead,
  isPlausibleIncarnation,
  isPlausibleTerm,
} from '../index.js';

describe('finding 2: counters from outside are bounded', () => {
  it('no counter is greater than COUNTER_MAX', () => {
    expect(Counter.safeParse(COUNTER_MAX).success).toBe(true);
    expect(Counter.safeParse(COUNTER_MAX + 1).success).toBe(false);
  });

  it.each(['incarnation', 'seq', 'term', 'version'])(
    'a heartbeat with an absurd %s is malformed',
    (field) => {
      const beat = { nodeId: 'node-1', incarnation: 1, seq: 1, kind: 'config-node', term: 1, version: 1 };
      const { schema } = EVENTS['node.heartbeat'];
      expect(schema.safeParse(beat).success).toBe(true);
      expect(schema.safeParse({ ...beat, [field]: Number.MAX_SAFE_INTEGER }).success).toBe(false);
    },
  );

  it('a counter goes on in steps; the first value that is heard may be any', () => {
    expect(isFarAhead(0, 5_000_000)).toBe(false);
    expect(isFarAhead(7, 1_000_007)).toBe(false);
    expect(isFarAhead(7, 1_000_008)).toBe(true);
    expect(isFarAhead(7, 3)).toBe(false);
  });

  it('a term is measured by the head, an incarnation by the own clock', () => {
    expect(isPlausibleTerm(1_005, 5)).toBe(true);
    expect(isPlausibleTerm(1_006, 5)).toBe(false);
    expect(isPlausibleIncarnation(INCARNATION_AHEAD_MAX_MS + 5, 5)).toBe(true);
    expect(isPlausibleIncarnation(INCARNATION_AHEAD_MAX_MS + 6, 5)).toBe(false);
  });
});
