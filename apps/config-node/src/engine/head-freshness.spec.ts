import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Deferred, deferred } from '#libs/kernel';
import { HeadFreshness } from './head-freshness.js';

describe('a head that is told on the bus', () => {
  let nowMs = 0;
  let trips: Deferred<void>[] = [];
  const clock = { monotonicMs: () => nowMs, wallMs: () => 0 };
  const roundTrip = () => {
    const trip = deferred<void>();
    trips.push(trip);
    return trip.promise;
  };
  let freshness: HeadFreshness;

  beforeEach(() => {
    vi.useFakeTimers();
    nowMs = 10_000;
    trips = [];
    freshness = new HeadFreshness(clock, roundTrip);
    freshness.start();
  });
  afterEach(() => {
    freshness.stop();
    vi.useRealTimers();
  });

  it('was right when the database last confirmed its leader', () => {
    expect(freshness.asOf(1_500)).toBe(8_500);
  });

  it.each([null, undefined])('was right just now for a leader that does not tell (%s)', (agoMs) => {
    expect(freshness.asOf(agoMs)).toBe(10_000);
  });

  it('tells nothing to a process that has just woken, until the bus has answered it', async () => {
    nowMs += 4_000;
    expect(freshness.asOf(0)).toBeUndefined();
    nowMs += 100;
    expect(freshness.asOf(0)).toBeUndefined();
    expect(trips).toHaveLength(1);
    trips[0]?.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(freshness.asOf(0)).toBe(14_100);
  });

  it('is news again on another connection: what waited for the process is gone with the old one', async () => {
    nowMs += 4_000;
    expect(freshness.asOf(0)).toBeUndefined();
    trips[0]?.reject(new Error('connection closed'));
    await vi.advanceTimersByTimeAsync(0);
    expect(freshness.asOf(0)).toBe(14_000);
  });

  it('waits for the answer to the question that was asked last', async () => {
    nowMs += 4_000;
    freshness.asOf(0);
    nowMs += 4_000;
    freshness.asOf(0);
    trips[0]?.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(freshness.asOf(0)).toBeUndefined();
    trips[1]?.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(freshness.asOf(0)).toBe(18_000);
  });

  it('is news to a process that is only quiet, or a little slow', () => {
    for (let i = 0; i < 20; i++) {
      nowMs += i % 3 === 0 ? 450 : 200;
      vi.advanceTimersByTime(200);
    }
    expect(freshness.asOf(0)).toBe(nowMs);
    expect(trips).toHaveLength(0);
  });
});
