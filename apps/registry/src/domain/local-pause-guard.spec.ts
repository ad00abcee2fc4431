import { describe, expect, it } from 'vitest';
import { LocalPauseGuard } from './local-pause-guard.js';

describe('HearingGuard', () => {
  const guard = () => new LocalPauseGuard({ tickEveryMs: 100, ownPauseMs: 500 });

  it('hears while its ticks come and the bus is there', () => {
    const subject = guard();
    expect([0, 100, 200, 790].map((nowMs) => subject.observe(nowMs, true))).toEqual([
      'hears',
      'hears',
      'hears',
      'hears',
    ]);
  });

  it('does not judge after its own stall, once', () => {
    const subject = guard();
    expect([0, 701, 800].map((nowMs) => subject.observe(nowMs, true))).toEqual([
      'hears',
      'was-stalled',
      'hears',
    ]);
  });

  it('does not judge while the bus is away', () => {
    const subject = guard();
    expect(subject.observe(0, false)).toBe('bus-away');
    expect(subject.observe(100, true)).toBe('hears');
  });
});
