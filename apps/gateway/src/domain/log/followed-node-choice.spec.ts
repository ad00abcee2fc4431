import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Candidate } from '../nodes/candidate.js';
import { FollowedNodeChoice } from './followed-node-choice.js';

const nodes = (count: number) =>
  Array.from({ length: count }, (_, index) => new Candidate(`n${index}`, `http://n${index}`));

describe('the node whose log a gateway follows', () => {
  it('is spread over nodes by the names of the gateways, and the same each time', () => {
    const tier = nodes(4);
    const counts = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      const chosen = new FollowedNodeChoice(`gateway-${i}`, 0).choose([tier], 0);
      expect(new FollowedNodeChoice(`gateway-${i}`, 0.9).choose([tier.toReversed()], 5)).toBe(chosen);
      counts.set(chosen?.id ?? '', (counts.get(chosen?.id ?? '') ?? 0) + 1);
    }
    for (const count of counts.values()) expect(Math.abs(count - 100)).toBeLessThan(40);
  });

  it('is another one when it failed, until all have failed', () => {
    const tier = nodes(3);
    const choice = new FollowedNodeChoice('g', 0);
    const chosen = Array.from({ length: 3 }, (_, i) => {
      const node = choice.choose([tier], i) as Candidate;
      choice.failed(node, [tier], i);
      return node.id;
    });
    expect(new Set(chosen).size).toBe(3);
    expect(choice.choose([tier], 4)?.id).toBe(chosen[0]);
    expect(new FollowedNodeChoice('g', 0).choose([], 0)).toBeUndefined();
  });

  it('is of the best tier that has one which was not left', () => {
    const [a, b, c] = nodes(3) as [Candidate, Candidate, Candidate];
    const choice = new FollowedNodeChoice('g', 0);
    expect(choice.choose([[a], [b], [c]], 0)).toBe(a);
    choice.failed(a, [[a], [b], [c]], 0);
    expect(choice.choose([[a], [b], [c]], 0)).toBe(b);
    choice.inStep();
    expect(choice.choose([[a], [b], [c]], 0)).toBe(a);
  });

  it('is gone back to when it has been fit for half a minute without a break', () => {
    const tier = nodes(3);
    const choice = new FollowedNodeChoice('g', 0);
    const preferred = choice.choose([tier], 0) as Candidate;
    choice.failed(preferred, [tier], 10);
    const others = tier.filter((node) => node !== preferred);
    const followed = choice.choose([others, [preferred]], 10) as Candidate;
    expect(choice.shouldReturn(followed, others, 100_000)).toBe(false);
    expect(choice.shouldReturn(followed, tier, 100_000)).toBe(false);
    expect(choice.shouldReturn(followed, others, 120_000)).toBe(false);
    expect(choice.shouldReturn(followed, tier, 130_000)).toBe(false);
    expect(choice.shouldReturn(followed, tier, 159_999)).toBe(false);
    expect(choice.shouldReturn(followed, tier, 160_000)).toBe(true);
  });

  it('is gone back to later each time that following it fails', () => {
    const tier = nodes(3);
    const choice = new FollowedNodeChoice('g', 0);
    let nowMs = 0;
    const waits = Array.from({ length: 7 }, () => {
      const preferred = choice.choose([tier], nowMs) as Candidate;
      choice.failed(preferred, [tier], nowMs);
      const followed = choice.choose([tier], nowMs) as Candidate;
      choice.inStep();
      const begunMs = nowMs;
      choice.shouldReturn(followed, tier, nowMs);
      while (!choice.shouldReturn(followed, tier, nowMs)) nowMs += 1_000;
      return (nowMs - begunMs) / 1_000;
    });
    expect(waits).toEqual([30, 60, 120, 240, 480, 600, 600]);
  });

  it('stays while it is the preferred one, whoever comes and goes', () => {
    fc.assert(
      fc.property(fc.string(), fc.subarray([0, 1, 2, 3, 4]), fc.nat(1_000_000), (name, present, nowMs) => {
        const all = nodes(5);
        const choice = new FollowedNodeChoice(name, 0.5);
        const followed = choice.choose([all], 0) as Candidate;
        const tier = all.filter((node, index) => node === followed || present.includes(index));
        choice.shouldReturn(followed, tier, 0);
        expect(choice.shouldReturn(followed, tier, nowMs)).toBe(false);
      }),
      { numRuns: 10_000 },
    );
  });
});
