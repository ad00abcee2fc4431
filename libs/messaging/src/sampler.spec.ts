import { describe, expect, it } from 'vitest';
import { seededRng } from '#libs/kernel';
import { Sampler } from './sampler.ts';

/** How many of each sender are admitted, when each of `senders` sends twice a second in a fixed rhythm for some seconds. */
function admitted(senders: number, seconds: number): number[] {
  let nowMs = 0;
  const sampler = new Sampler(200, { monotonicMs: () => nowMs }, seededRng(1));
  const counts = new Array<number>(senders).fill(0);
  for (let half = 0; half < seconds * 2; half++) {
    for (let sender = 0; sender < senders; sender++) {
      nowMs = half * 500 + (sender * 500) / senders;
      if (sampler.admits()) counts[sender] = (counts[sender] ?? 0) + 1;
    }
  }
  return counts;
}

describe('finding 18a: heartbeats of a thousand nodes', () => {
  it('are all read while there are few nodes', () => {
    expect(admitted(100, 20)).toEqual(new Array(100).fill(40));
  });

  it('are read at a bounded rate, and each node is heard', () => {
    const counts = admitted(1_000, 60);
    const total = counts.reduce((sum, count) => sum + count, 0);
    expect(total / 60).toBeGreaterThan(100);
    expect(total / 60).toBeLessThan(260);
    expect(counts.filter((count) => count === 0)).toEqual([]);
  });
});
