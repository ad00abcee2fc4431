import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyQuantile } from './latency-quantile.js';

describe('the quantile of latencies', () => {
  it('knows nothing before the first', () => {
    expect(new LatencyQuantile().quantile(0.95)).toBeUndefined();
  });

  it('is at most a tenth too high, never too low', () => {
    const latencies = fc.array(fc.double({ min: 0.1, max: 50_000, noNaN: true }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(latencies, fc.constantFrom(0.5, 0.9, 0.95, 0.99), (samples, q) => {
        const quantile = new LatencyQuantile();
        for (const ms of samples) quantile.record(ms);
        const exact = samples.toSorted((a, b) => a - b)[Math.ceil(q * samples.length) - 1] ?? Number.NaN;
        const told = quantile.quantile(q) ?? Number.NaN;
        expect(told).toBeGreaterThanOrEqual(exact * 0.999_999);
        expect(told).toBeLessThanOrEqual(exact * 1.100_001);
      }),
      { numRuns: 10_000 },
    );
  });

  it('forgets what was', () => {
    const quantile = new LatencyQuantile();
    for (let i = 0; i < 10_000; i++) quantile.record(100);
    for (let i = 0; i < 60_000; i++) quantile.record(1);
    expect(quantile.quantile(0.95)).toBeLessThan(1.2);
    expect(quantile.samples).toBeLessThanOrEqual(4_096);
  });
});
