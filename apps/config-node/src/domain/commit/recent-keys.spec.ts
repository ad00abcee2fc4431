import { describe, expect, it } from 'vitest';
import { RecentKeys } from './recent-keys.js';

function outcome(version: number, operations = 1) {
  const one = { op: 'delete' as const, namespace: 'app', key: 'k' };
  return {
    version,
    term: 1,
    createdAt: '',
    created: [],
    operations: Array.from({ length: operations }, () => one),
  };
}

describe('RecentKeys', () => {
  it('forgets the oldest when it holds too many operations, of whatever changes', () => {
    const recent = new RecentKeys({ ageMs: 1_000, operations: 10 });
    for (let i = 0; i < 10; i++) recent.add(`k${i}`, null, outcome(i), 0);
    expect(recent.has('k0')).toBe(true);
    recent.add('large', null, outcome(10, 8), 0);
    expect(['k0', 'k7', 'k8', 'large'].map((key) => recent.has(key))).toEqual([false, false, true, true]);
  });

  it('forgets what is too old', () => {
    const recent = new RecentKeys({ ageMs: 1_000, operations: 10 });
    recent.add('old', null, outcome(1), 0);
    recent.add('new', null, outcome(2), 1_000);
    expect(recent.has('old')).toBe(true);
    recent.add('newer', null, outcome(3), 1_001);
    expect([recent.has('old'), recent.has('new')]).toEqual([false, true]);
  });

  it('counts a key that is added again once', () => {
    const recent = new RecentKeys({ ageMs: 1_000, operations: 2 });
    for (let i = 0; i < 5; i++) recent.add('same', null, outcome(i), 0);
    recent.add('other', null, outcome(9), 0);
    expect([recent.get('same')?.outcome.version, recent.has('other')]).toEqual([4, true]);
  });
});
