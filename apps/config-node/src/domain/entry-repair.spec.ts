import { describe, expect, it } from 'vitest';
import { judgeEntry, type KeyContent } from './entry-repair.js';
import { MAX_REPAIRS, RepairBreaker } from './repair-breaker.js';

const at = (version: number): KeyContent => ({
  version,
  contentType: 'text/plain',
  checksum: `sha256:${version}`,
});

describe('finding 7: an entry that is not what the log says', () => {
  it.each([
    ['an entry that was altered', at(5), { ...at(5), checksum: 'x' }, at(5), 'scrub'],
    ['an entry that is lost', at(5), null, at(5), 'scrub'],
    ['an entry that nobody published', null, at(5), null, 'scrub'],
    ['the only operation is lost', null, at(5), at(5), 'log-damaged'],
    ['the last operation is lost', at(5), at(9), at(9), 'log-damaged'],
    ['the deletion is lost', at(5), null, null, 'log-damaged'],
    ['each says something else', at(5), at(9), null, 'undecided'],
    ['the log does not reach back to it', 'unproven', at(5), at(5), 'compacted'],
  ] as const)('%s', (_, logged, entry, replica, verdict) => {
    expect(judgeEntry({ logged, entry, replica })).toBe(verdict);
  });
});

describe('finding 7: the breaker of repairs', () => {
  const take = (breaker: RepairBreaker, count: number, nowMs: number) =>
    Array.from({ length: count }, () => breaker.allows(nowMs)).filter(Boolean).length;

  it('stays open however much time passes, until it is closed', () => {
    const breaker = new RepairBreaker();
    expect(take(breaker, 450, 0)).toBe(MAX_REPAIRS);
    expect(breaker.isOpen).toBe(true);
    expect(take(breaker, 450, 365 * 86_400_000)).toBe(0);
    breaker.close();
    expect(take(breaker, 450, 365 * 86_400_000)).toBe(MAX_REPAIRS);
  });

  it('forgets single repairs after an hour, and takes the budget that an operator gives', () => {
    const breaker = new RepairBreaker();
    expect(take(breaker, 60, 0) + take(breaker, 60, 3_600_001)).toBe(120);
    breaker.close(0);
    expect(take(breaker, 1, 3_600_002)).toBe(0);
    breaker.close(1_000);
    expect(take(breaker, 2_000, 3_600_003)).toBe(1_000);
  });
});
