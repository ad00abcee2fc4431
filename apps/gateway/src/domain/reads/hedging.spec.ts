import { describe, expect, it } from 'vitest';
import { Hedging } from './hedging.js';

function hedgingAfter(latencies: readonly number[], enabled = true): Hedging {
  const hedging = new Hedging(enabled);
  for (const ms of latencies) hedging.answeredAfter(ms);
  return hedging;
}

describe('hedging', () => {
  it('asks again after the time within which nineteen in twenty are answered', () => {
    const latencies = Array.from({ length: 100 }, (_, index) => (index < 94 ? 10 : 500));
    expect(hedgingAfter(latencies).delayMs).toBeGreaterThan(499);
    const most = Array.from({ length: 100 }, (_, index) => (index < 96 ? 10 : 500));
    expect(hedgingAfter(most).delayMs).toBeLessThan(11.1);
  });

  it('does nothing when switched off, or before it has seen enough', () => {
    expect(hedgingAfter(Array(200).fill(10), false).delayMs).toBeUndefined();
    expect(hedgingAfter(Array(99).fill(10)).delayMs).toBeUndefined();
    expect(hedgingAfter(Array(100).fill(0.2)).delayMs).toBe(2);
  });

  it('asks no more than a fifth of what is under way twice', () => {
    const hedging = hedgingAfter([]);
    const begun = Array.from({ length: 30 }, () => {
      if (!hedging.mayBegin(100)) return false;
      hedging.began();
      return true;
    });
    expect(begun.filter(Boolean)).toHaveLength(20);
    hedging.ended();
    expect(hedging.mayBegin(100)).toBe(true);
  });
});
