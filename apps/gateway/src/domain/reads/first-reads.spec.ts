import { describe, expect, it } from 'vitest';
import { FirstReads } from './first-reads.js';

describe('report 10: the first read of a connection', () => {
  it('is that one only', () => {
    const reads = new FirstReads();
    const [one, two] = [{}, {}];
    expect([one, one, two, one].map((connection) => reads.isFirst(connection))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  it('goes to the leader as long as there are not too many a second', () => {
    const reads = new FirstReads();
    const asked = (nowMs: number) =>
      Array.from({ length: 100 }, () => {
        const may = reads.mayAskLeader(nowMs);
        if (may) reads.ended();
        return may;
      });
    expect(asked(0).filter(Boolean)).toHaveLength(50);
    expect(asked(100).filter(Boolean)).toHaveLength(20);
    expect(asked(60_000).filter(Boolean)).toHaveLength(50);
  });

  it('goes elsewhere while a slow leader still has as many as it may', () => {
    const reads = new FirstReads();
    const asked = () => Array.from({ length: 20 }, () => reads.mayAskLeader(0)).filter(Boolean).length;
    expect(asked()).toBe(8);
    expect(asked()).toBe(0);
    reads.ended();
    expect(asked()).toBe(1);
  });
});
