import { describe, expect, it } from 'vitest';
import { deriveKey } from '#libs/kernel';
import { RedisMac } from './redis-mac.js';
import { openStamped, type Stamped, sealStamped } from './stamped.js';

const mac = new RedisMac(deriveKey('0123456789abcdef', 'redis-mac'));
/** As the script puts it together. */
const stored = (by: RedisMac, key: string, of: Stamped) =>
  `${of.incarnation}:${of.seq}:${sealStamped(by, key, of)}`;
const entry = { incarnation: 1_700_000_000_000, seq: 42, value: { a: 'b:c' } };

describe('finding 5: a stamped entry', () => {
  it('is read as it was written, colons in it included', () => {
    const text = stored(mac, 'k', entry);
    expect(text.startsWith('1700000000000:42:')).toBe(true);
    expect(openStamped(mac, 'k', text)).toEqual(entry);
  });

  // Computed with the HMAC of Python's standard library.
  it('has a known answer', () => {
    expect(stored(mac, 'k', { incarnation: 1, seq: 2, value: {} })).toBe(
      '1:2:XLOomABV0nZDQ0lsEb4Ego3hVtYs4e4H02EpWR4LMBg:{}',
    );
  });

  it.each([
    ['without a MAC', '1700000000000:42:{"a":"b:c"}'],
    ['that is not one', '{"a":1}'],
    ['without a value', '1:2'],
    ['with another stamp', stored(mac, 'k', entry).replace(':42:', ':43:')],
    ['with another value', stored(mac, 'k', entry).replace('b:c', 'b:d')],
    ['of another key', stored(mac, 'other', entry)],
    ['of another cluster', stored(new RedisMac(deriveKey('f'.repeat(16), 'redis-mac')), 'k', entry)],
  ])('%s counts as absent', (_what, text) => {
    expect(openStamped(mac, 'k', text)).toBeUndefined();
  });
});
