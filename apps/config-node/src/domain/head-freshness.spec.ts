import { describe, expect, it } from 'vitest';
import { HeadFreshness } from './head-freshness.js';

/** Looks, as whoever hears a head does, and says what it is worth. */
function heardAt(freshness: HeadFreshness, nowMs: number, agoMs: number | null | undefined = 0) {
  const asks = freshness.look(nowMs);
  return { asks, asOf: freshness.asOf(agoMs) };
}

describe('a head that is told on the bus', () => {
  it.each([
    ['when the database last confirmed its leader', 1_500, 8_500],
    ['just now, of a leader that does not tell', undefined, 10_000],
    ['nobody knows when, of one that nothing confirms', null, undefined],
  ])('was right %s', (_, agoMs, asOf) => {
    const freshness = new HeadFreshness(10_000);
    expect(freshness.asOf(agoMs)).toBe(asOf);
  });

  it('tells nothing to a process that has just woken, until the bus has answered it', () => {
    const freshness = new HeadFreshness(10_000);
    expect(heardAt(freshness, 14_000)).toEqual({ asks: true, asOf: undefined });
    expect(heardAt(freshness, 14_100)).toEqual({ asks: false, asOf: undefined });
    freshness.answered();
    expect(heardAt(freshness, 14_200)).toEqual({ asks: false, asOf: 14_200 });
  });

  it('waits for the answer to the question that was asked last', () => {
    const freshness = new HeadFreshness(10_000);
    expect(heardAt(freshness, 14_000).asks).toBe(true);
    expect(heardAt(freshness, 18_000).asks).toBe(true);
    freshness.answered();
    expect(heardAt(freshness, 18_100).asOf).toBeUndefined();
    freshness.answered();
    expect(heardAt(freshness, 18_200).asOf).toBe(18_200);
  });

  it('is news to a process that is only quiet, or a little slow', () => {
    const freshness = new HeadFreshness(10_000);
    let nowMs = 10_000;
    for (let i = 0; i < 20; i++) {
      nowMs += i % 3 === 0 ? 500 : 200;
      expect(heardAt(freshness, nowMs)).toEqual({ asks: false, asOf: nowMs });
    }
  });
});
