import { describe, expect, it } from 'vitest';
import { deriveKey } from '#libs/kernel';
import { type AuthenticatedParts, BusMac } from './bus-mac.js';

const KEY = '0123456789abcdef';
const mac = new BusMac(deriveKey(KEY, 'bus-mac'));
const body = Buffer.from('{"term":7}');
const fact: AuthenticatedParts = {
  kind: 'fact',
  subject: 'leader.lost',
  id: 'leader.lost/7',
  time: '2026-01-01T00:00:00.000Z',
};
const reply: AuthenticatedParts = {
  kind: 'reply',
  subject: 'election.poll.node-1',
  inbox: '_INBOX.a.1',
  errorCode: '503',
};

describe('finding 2: the MAC of a message', () => {
  // Computed with the HMAC of Python's standard library; also in docs/bus-authentication.md.
  it.each([
    ['a fact', '', fact, 'uIHvShORRPpleoh1UVkhfw_nL8KUbeUTqPxNEI7eCfs'],
    ['a fact of a cluster with a prefix', 'team-a.prod', fact, 'YQO0tuLftGlWV0U7hO2i-znDLWciKSVI8VnzC4RfjyY'],
    [
      'a request',
      '',
      { kind: 'request', subject: 'registry.list' } as const,
      '69YkaDorlzad7PDbNmSWoJ1FC9hsSc04bcEVuXXvYTY',
    ],
    ['an error reply', '', reply, 'rKMJtDV6_N3Gik1vRPx8KUDvMJP691gkG1fg_OKcW50'],
  ])('of %s has a known answer', (_what, prefix, parts, expected) => {
    expect(new BusMac(deriveKey(KEY, 'bus-mac'), prefix).sign(parts, body)).toBe(expected);
  });

  it.each<[string, Partial<AuthenticatedParts>]>([
    ['another subject', { subject: 'leader.elected' }],
    ['another kind', { kind: 'request' }],
    ['another id', { id: 'leader.lost/8' }],
    ['another time', { time: '2026-01-02T00:00:00.000Z' }],
    ['an error code', { errorCode: '503' }],
    ['another inbox', { inbox: '_INBOX.b.1' }],
  ])('does not fit %s', (_what, change) => {
    expect(mac.verify(mac.sign(fact, body), fact, body)).toBe(true);
    expect(mac.verify(mac.sign(fact, body), { ...fact, ...change }, body)).toBe(false);
  });

  it('does not fit another payload, prefix or key, and garbage fits nothing', () => {
    const signed = mac.sign(fact, body);
    expect(mac.verify(signed, fact, Buffer.from('{"term":8}'))).toBe(false);
    expect(new BusMac(deriveKey(KEY, 'bus-mac'), 'other').verify(signed, fact, body)).toBe(false);
    expect(new BusMac(deriveKey(`${KEY}0`, 'bus-mac')).verify(signed, fact, body)).toBe(false);
    for (const garbage of ['', 'a', signed.slice(1), `${signed}A`.slice(2), '\u0000'.repeat(43)]) {
      expect(mac.verify(garbage, fact, body)).toBe(false);
    }
  });
});
