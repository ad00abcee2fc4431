import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { HEADERS } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import { ClusterProofs } from './cluster-proofs.js';
import { OwnAuthorities } from './own-authorities.js';
import { ReadProofs } from './read-proofs.js';
import { RequestSigner } from './request-signer.js';
import { RequestVerifier } from './request-verifier.js';

const KEY = 'k'.repeat(32);
const T0 = 1_700_000_000_000;
const BODY = '{"bucket":3}';

class TestClock implements Clock {
  constructor(public nowMs = T0) {}
  wallMs(): number {
    return this.nowMs;
  }
  monotonicMs(): number {
    return this.nowMs;
  }
}

interface Sent {
  method: string;
  host: string;
  path: string;
  headers: string[];
  localAddress: string;
  localPort: number;
}

const SENT: Sent = {
  method: 'POST',
  host: 'node-1:7400',
  path: '/internal/repair?why=test',
  headers: [HEADERS.aimTerm, '7', HEADERS.operator, '1', 'content-type', 'application/json'],
  localAddress: '10.0.0.7',
  localPort: 7400,
};

/** The part of node:http's request that is judged. */
function arriving(sent: Sent, proof: Record<string, string>): IncomingMessage {
  const rawHeaders = ['host', sent.host, ...sent.headers, ...Object.entries(proof).flat()];
  const headers: Record<string, string> = {};
  for (let i = 0; i < rawHeaders.length; i += 2) headers[rawHeaders[i] ?? ''] = rawHeaders[i + 1] ?? '';
  const { method, path: url, localAddress, localPort } = sent;
  return {
    method,
    url,
    headers,
    rawHeaders,
    socket: { localAddress, localPort },
  } as unknown as IncomingMessage;
}

function receiver(clock: Clock = new TestClock()): ClusterProofs {
  const own = new OwnAuthorities(new Set(['node-1', 'localhost', '127.0.0.1']));
  own.announce('http://node-1.internal:17400');
  return new ClusterProofs(KEY, own, clock);
}

function signed(sent: Sent = SENT, { key = KEY, clock = new TestClock() as Clock, body = BODY } = {}) {
  const { method, host, path, headers } = sent;
  return new RequestSigner(key, clock).sign(`http://${host}`, path, { method, headers, body });
}

const judged = (sent: Partial<Sent>, proof: Record<string, string>, proofs = receiver()) =>
  proofs.judge(arriving({ ...SENT, ...sent }, proof));

describe('finding 3: a signature is good for one request to one process', () => {
  it('is accepted, with its body', () => {
    const proofs = receiver();
    const request = arriving(SENT, { [HEADERS.signature]: signed() });
    expect(proofs.judge(request).standing).toBe('member');
    expect(proofs.judge(request).standing).toBe('member'); // the same request, judged again
    expect(proofs.bodyFault(request, BODY)).toBeUndefined();
    expect(proofs.bodyFault(request, Buffer.from(BODY))).toBeUndefined();
    expect(() => proofs.bodyFault(request, { bucket: 3 })).toThrow('bytes');
  });

  it.each(['{"bucket":4}', '', undefined])('is refused with the body %j', (body) => {
    const proofs = receiver();
    const request = arriving(SENT, { [HEADERS.signature]: signed() });
    proofs.judge(request);
    expect(proofs.bodyFault(request, body)?.members.reason).toBe('other-body');
  });

  it.each<[string, Partial<Sent>, string]>([
    ['method', { method: 'PUT' }, 'wrong-mac'],
    ['path', { path: '/internal/resync?why=test' }, 'wrong-mac'],
    ['query', { path: '/internal/repair?why=other' }, 'wrong-mac'],
    ['host', { host: '10.0.0.7:7400' }, 'wrong-mac'],
    ['value of a header', { headers: [HEADERS.aimTerm, '8', HEADERS.operator, '1'] }, 'wrong-mac'],
    [
      'header taken away',
      { headers: [HEADERS.aimTerm, '7', 'content-type', 'application/json'] },
      'wrong-mac',
    ],
    ['header added', { headers: [...SENT.headers, HEADERS.forward, '1'] }, 'wrong-mac'],
    ['header twice', { headers: [...SENT.headers, HEADERS.operator, '1'] }, 'wrong-mac'],
  ])('is refused with another %s', (_what, change, reason) => {
    const { standing, fault } = judged(change, { [HEADERS.signature]: signed() });
    expect([standing, fault?.code, fault?.members.reason]).toEqual(['nobody', 'forbidden', reason]);
  });

  it.each(['', 'v1', 'v2.1.AAAAAAAA.a.b', `${'v1.1.'.repeat(2_000)}`, 'r1.28333333.short'])(
    'is refused when it is no signature: %j',
    (text) => {
      expect(judged({}, { [HEADERS.signature]: text }).fault?.code).toBe('forbidden');
    },
  );

  it('is refused when a part of it was changed, or another key made it', () => {
    const parts = signed().split('.');
    for (const at of [1, 2, 3, 4]) {
      const part = parts[at] ?? '';
      const changed = parts.with(at, (part[0] === '1' ? '2' : '1') + part.slice(1)).join('.');
      expect(judged({}, { [HEADERS.signature]: changed }).fault?.code, changed).toBe('forbidden');
    }
    const foreign = signed(SENT, { key: 'f'.repeat(32) });
    expect(judged({}, { [HEADERS.signature]: foreign }).fault?.members.reason).toBe('wrong-mac');
  });

  it('is accepted once', () => {
    const proofs = receiver();
    const proof = { [HEADERS.signature]: signed() };
    expect(judged({}, proof, proofs).standing).toBe('member');
    expect(judged({}, proof, proofs).fault?.members.reason).toBe('replayed');
  });

  it.each([
    [-60_001, 'before-start'],
    [60_001, 'clock-apart'],
    [-1, 'before-start'],
    [0, undefined],
    [60_000, undefined],
  ])('made %d ms from when the receiver started: %s', (apartMs, reason) => {
    const proof = { [HEADERS.signature]: signed(SENT, { clock: new TestClock(T0 + apartMs) }) };
    expect(judged({}, proof).fault?.members.reason).toBe(apartMs === -60_001 ? 'clock-apart' : reason);
  });

  it('is refused when it has become too old, and what it says names the clocks', () => {
    const clock = new TestClock();
    const proofs = receiver(clock);
    const proof = { [HEADERS.signature]: signed() };
    clock.nowMs += 61_000;
    const { fault } = judged({}, proof, proofs);
    expect(fault?.members.reason).toBe('clock-apart');
    expect(fault?.detail).toContain('61000 ms ago');
    expect(fault?.detail).toContain('clock');
  });

  it('is refused when the receiver cannot remember more, and accepted again when it can', () => {
    const clock = new TestClock();
    const verifier = new RequestVerifier(KEY, clock, 2);
    const signer = new RequestSigner(KEY, clock);
    const ask = () => {
      const text = signer.sign('http://a:1', '/x', { method: 'GET' });
      const verdict = verifier.verify(
        text,
        { method: 'GET', authority: 'a:1', path: '/x', headers: [] },
        true,
      );
      return verdict.accepted ? 'accepted' : verdict.fault;
    };
    expect([ask(), ask(), ask()]).toEqual(['accepted', 'accepted', 'too-many']);
    clock.nowMs += 75_000;
    expect([ask(), ask(), ask()]).toEqual(['accepted', 'accepted', 'too-many']);
  });

  it.each<[string, Partial<Sent>, boolean]>([
    ['node-1.internal:17400', {}, true], // announced
    ['10.0.0.7:7400', {}, true], // the address of the connection
    ['[fd00::7]:7400', { localAddress: 'fd00::7' }, true],
    ['10.0.0.7:7400', { localAddress: '::ffff:10.0.0.7' }, true],
    ['localhost:7400', { localAddress: '127.0.0.1' }, true],
    ['node-1:7400', {}, true], // a public host name
    ['node-1:7401', {}, false],
    ['10.0.0.8:7400', {}, false],
    ['localhost:7400', {}, false], // another machine's
    ['127.0.0.1:7400', {}, false],
    ['127.0.0.1:7401', { localAddress: '127.0.0.1' }, false],
    ['node-2:7400', {}, false],
  ])('to %s is for a process at 10.0.0.7:7400: %j %s', (host, change, isOwn) => {
    const sent = { ...SENT, host, ...change };
    const { standing, fault } = judged(sent, { [HEADERS.signature]: signed(sent) });
    expect(standing === 'member').toBe(isOwn);
    expect(fault?.members.reason).toBe(isOwn ? undefined : 'other-receiver');
  });
});

describe('the other proofs', () => {
  it('none is nobody, an operator shows the key in clear, a wrong key is refused', () => {
    expect(judged({}, {})).toEqual({ standing: 'nobody' });
    expect(judged({}, { [HEADERS.clusterKey]: KEY })).toEqual({ standing: 'member' });
    expect(judged({}, { [HEADERS.clusterKey]: 'guess' }).fault?.code).toBe('forbidden');
    const both = { [HEADERS.clusterKey]: 'guess', [HEADERS.signature]: signed() };
    expect(judged({}, both).fault?.code).toBe('forbidden');
  });

  it('a read proof is for reads at one address, for a minute or two, from one cluster', () => {
    const clock = new TestClock();
    const proof = (key = KEY) => ({
      [HEADERS.signature]: new ReadProofs(key, clock).at('http://node-1:7400'),
    });
    const proofs = receiver(clock);
    const get = { method: 'GET', path: '/v1/namespaces/a/configs/b' };
    const ours = proof();
    expect(judged(get, ours, proofs).standing).toBe('reader');
    expect(judged(get, ours, proofs).standing).toBe('reader');
    expect(judged({ ...get, method: 'HEAD' }, ours, proofs).standing).toBe('reader');
    expect(judged({ ...get, method: 'PUT' }, ours, proofs).fault?.code).toBe('forbidden');
    expect(judged({ ...get, host: 'node-2:7400' }, ours, proofs).fault?.code).toBe('forbidden');
    expect(judged(get, proof('f'.repeat(32)), proofs).fault?.code).toBe('forbidden');
    expect(proofs.memberFault(arriving({ ...SENT, ...get }, ours))?.code).toBe('forbidden');
    clock.nowMs += 60_000;
    expect(judged(get, ours, proofs).standing).toBe('reader');
    clock.nowMs += 60_000;
    expect(judged(get, ours, proofs).fault?.code).toBe('forbidden');
  });
});
