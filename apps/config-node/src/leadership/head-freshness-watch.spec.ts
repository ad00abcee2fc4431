import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Deferred, deferred } from '#libs/kernel';
import { HeadFreshnessWatch } from './head-freshness-watch.js';

let nowMs = 0;
let trips: Deferred<void>[] = [];
let watch: HeadFreshnessWatch;

beforeEach(() => {
  vi.useFakeTimers();
  nowMs = 10_000;
  trips = [];
  const roundTrip = () => {
    const trip = deferred<void>();
    trips.push(trip);
    return trip.promise;
  };
  watch = new HeadFreshnessWatch({ monotonicMs: () => nowMs, wallMs: () => 0 }, roundTrip);
  watch.start();
});
afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});

it.each([
  ['the bus has answered', (trip: Deferred<void> | undefined) => trip?.resolve()],
  // What waited for the process is gone with the old connection.
  ['the connection is another', (trip: Deferred<void> | undefined) => trip?.reject(new Error('closed'))],
])('believes nothing after a stall until %s', async (_, end) => {
  nowMs += 4_000;
  expect(watch.asOf(0)).toBeUndefined();
  expect(trips).toHaveLength(1);
  end(trips[0]);
  await vi.advanceTimersByTimeAsync(0);
  expect(watch.asOf(0)).toBe(14_000);
});

it('looks by itself: a process that hears nothing was not stalled', () => {
  for (let i = 0; i < 20; i++) {
    nowMs += 200;
    vi.advanceTimersByTime(200);
  }
  expect(watch.asOf(0)).toBe(nowMs);
  expect(trips).toHaveLength(0);
});
