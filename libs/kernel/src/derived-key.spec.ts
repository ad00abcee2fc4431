import { describe, expect, it } from 'vitest';
import { deriveKey } from './derived-key.js';

// Computed with an independent implementation of RFC 5869 (HMAC-SHA256 of Python's standard library).
describe('deriveKey of "0123456789abcdef"', () => {
  it.each([
    ['bus-mac', '3977cbce3645a489a4fce2f2274d5abd671ed5636fc85e9a1a6a8f21c618ae5a'],
    ['http-mac', 'e8e284112584ecd944b86f7f786424df0a4c27516f2204910c9449502758b49f'],
    ['redis-mac', '33b2b01bdde9d1e78d86a6e6c66ca43ef24d17169d1b6417bec808e603df46fc'],
    ['request-hash', 'b49b07266ee315abd0e45b82520658b5019b875a8d113768dbf9a98a46ea2031'],
  ] as const)('for %s is %s', (purpose, expected) => {
    expect(deriveKey('0123456789abcdef', purpose).toString('hex')).toBe(expected);
  });
});
