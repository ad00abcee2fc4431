import { describe, expect, it } from 'vitest';
import { LagTracker } from './lag-tracker.js';

const tracker = () =>
  new LagTracker({
    pushAfterMs: 1_000,
    lagging: { afterMs: 5_000, everyMs: 5_000 },
    maxPushVersions: 1_000,
    backoff: (failures) => 250 * 2 ** failures,
  });

describe('LagTracker', () => {
  it('lets the broadcast arrive before it pushes', () => {
    const subject = tracker();
    subject.headAt(10, 0);
    subject.nodeAt('node-1', 1, 9, 0);
    expect(subject.step(999)).toEqual([]);
    subject.nodeAt('node-1', 1, 10, 999);
    expect(subject.step(5_000)).toEqual([]);
  });

  it('pushes one that stays behind by anything, one push at a time, until it is level', () => {
    const subject = tracker();
    subject.headAt(10, 0);
    subject.nodeAt('node-1', 1, 4, 0);
    expect(subject.step(1_000)).toEqual([{ type: 'push', nodeId: 'node-1', after: 4 }]);
    expect(subject.step(1_100)).toEqual([]);
    expect(subject.pushed('node-1', 7, 1_200)).toBe(true);
    expect(subject.pushed('node-1', 10, 1_300)).toBe(false);
    expect(subject.step(9_000)).toEqual([]);
  });

  it('waits longer after each failure, and an answer that brings nothing is one', () => {
    const subject = tracker();
    subject.headAt(10, 0);
    subject.nodeAt('node-1', 1, 4, 0);
    subject.step(1_000);
    subject.failed('node-1', 1_000);
    expect([1_249, 1_250].map((nowMs) => subject.step(nowMs).length)).toEqual([0, 1]);
    expect(subject.pushed('node-1', 4, 1_250)).toBe(false);
    expect([1_749, 1_750].map((nowMs) => subject.step(nowMs).length)).toEqual([0, 1]);
  });

  it('leaves one that is too far behind to its snapshot, and tells of it', () => {
    const subject = tracker();
    subject.headAt(5_000, 0);
    subject.nodeAt('node-1', 1, 3, 0);
    expect(subject.step(1_000)).toEqual([]);
    const told = [{ type: 'lagging', nodeId: 'node-1', version: 3, behindMs: 5_000 }];
    expect(subject.step(5_000)).toEqual(told);
    expect(subject.step(9_999)).toEqual([]);
    expect(subject.step(10_000)).toHaveLength(1);
  });

  it('believes a new incarnation, not an old one, and one that went back', () => {
    const subject = tracker();
    subject.headAt(10, 0);
    subject.nodeAt('node-1', 2, 8, 0);
    subject.nodeAt('node-1', 1, 2, 0);
    expect(subject.versionOf('node-1')).toBe(8);
    subject.nodeAt('node-1', 2, 5, 0);
    expect(subject.versionOf('node-1')).toBe(5);
    subject.step(1_000);
    subject.nodeAt('node-1', 2, 4, 1_100);
    expect(subject.versionOf('node-1')).toBe(5);
    subject.nodeAt('node-1', 3, 0, 1_200);
    expect(subject.versionOf('node-1')).toBe(0);
  });
});
