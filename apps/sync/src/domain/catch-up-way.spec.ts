import { describe, expect, it } from 'vitest';
import { chooseWay, costsMs, WayChooser, type Work } from './catch-up-way.js';

const RATES = { changesPerSecond: 20_000, keysPerSecond: 50_000, bytesPerSecond: 100_000_000 };
const LIMITS = { alwaysLog: 20_000, favour: 2, stateMs: 500 };

describe('chooseWay', () => {
  const work = (gap: number, stateKeys: number, bytes = 100): Work => ({
    ...{ gap, stateKeys, bytesPerChange: bytes, stateBytes: stateKeys * bytes },
  });

  it('knows what both cost', () => {
    expect(costsMs(work(1_000_000, 100_000), RATES, LIMITS)).toEqual({ log: 51_000, snapshot: 2_600 });
  });

  it.each([
    ['a gap that is closed at once', work(20_000, 10), 'log', 'small-gap'],
    ['few keys that changed often', work(1_000_000, 100_000), 'snapshot', 'state-cheaper'],
    ['many keys, few of which changed', work(100_000, 5_000_000), 'log', 'log-cheaper'],
    ['as dear', work(200_000, 450_000), 'log', 'log-cheaper'],
    ['twice as dear, and not more', work(200_000, 225_000), 'log', 'log-cheaper'],
    ['more than twice as dear', work(200_000, 200_000), 'snapshot', 'state-cheaper'],
    ['large values that were replaced', work(50_000, 10_000, 100_000), 'snapshot', 'state-cheaper'],
    ['a state of which nothing is known', undefined, 'log', 'unknown-state'],
  ] as const)('%s', (_what, given, way, reason) => {
    expect(chooseWay(given, RATES, LIMITS)).toEqual({ way, reason });
  });

  it('learns from what was measured', () => {
    const chooser = new WayChooser(RATES, LIMITS);
    chooser.sizesAre({ stateKeys: 100_000, stateBytes: 10_000_000, bytesPerChange: 100 });
    expect(chooser.choose(100_000)).toBe('log');
    for (let i = 0; i < 20; i++) chooser.tookFromLog(5_000);
    expect(chooser.choose(100_000)).toBe('snapshot');
    for (let i = 0; i < 20; i++) chooser.loaded(1_000);
    expect(chooser.choose(100_000)).toBe('log');
  });
});
