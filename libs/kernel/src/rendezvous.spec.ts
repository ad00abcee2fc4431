import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rendezvousOwner } from './rendezvous.js';

const THREE = ['health-1', 'health-2', 'health-3'];
const TWO = ['health-1', 'health-3'];

describe('rendezvousOwner', () => {
  // Made with hashlib of Python: greatest sha256(member + '\0' + key).
  it.each([
    ['node-1', 'health-2', 'health-1'],
    ['node-2', 'health-2', 'health-3'],
    ['node-3', 'health-2', 'health-3'],
    ['node-4', 'health-3', 'health-3'],
    ['node-5', 'health-1', 'health-1'],
  ])('%s belongs to %s, without health-2 to %s', (key, ofThree, ofTwo) => {
    expect(rendezvousOwner(key, THREE)).toBe(ofThree);
    expect(rendezvousOwner(key, TWO)).toBe(ofTwo);
  });

  it('names nobody when there is nobody', () => {
    expect(rendezvousOwner('node-1', [])).toBeUndefined();
  });

  it('does not depend on the order of members, and moves only the keys of one that leaves', () => {
    const members = fc.uniqueArray(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(fc.string(), members, fc.nat(), (key, all, pick) => {
        const owner = rendezvousOwner(key, all);
        expect(rendezvousOwner(key, all.toReversed())).toBe(owner);
        const leaving = all[pick % all.length];
        const rest = all.filter((member) => member !== leaving);
        if (leaving !== owner) expect(rendezvousOwner(key, rest)).toBe(owner);
      }),
      { numRuns: 10_000 },
    );
  });

  it('shares many keys about evenly', () => {
    const shares = new Map(THREE.map((member) => [member, 0]));
    for (let i = 0; i < 30_000; i++) {
      const owner = rendezvousOwner(`node-${i}`, THREE) ?? '';
      shares.set(owner, (shares.get(owner) ?? 0) + 1);
    }
    for (const share of shares.values()) expect(Math.abs(share - 10_000)).toBeLessThan(400);
  });
});
