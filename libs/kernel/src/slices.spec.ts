import { describe, expect, it } from 'vitest';
import { Slices } from './slices.js';

describe('Slices', () => {
  it('lets others have a turn when a slice is over, and not before', async () => {
    let nowMs = 0;
    const slices = new Slices(() => nowMs);
    let turns = 0;
    setImmediate(() => {
      turns += 1;
    });
    nowMs = 3;
    await slices.giveWay();
    expect(turns).toBe(0);
    nowMs = 4;
    expect(slices.isOver).toBe(true);
    await slices.giveWay();
    expect(turns).toBe(1);
    expect(slices.isOver).toBe(false);
  });
});
