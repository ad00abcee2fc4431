import { describe, expect, it } from 'vitest';
import type { Clock } from '#libs/kernel';
import { deriveKey } from '#libs/kernel';
import { readProof, readSlotAt } from './domain/read-proof.js';
import { requestMac, signatureText } from './domain/signed-request.js';
import { ReadProofs } from './read-proofs.js';
import { hashOf } from './request-signer.js';

// Computed with Python's hmac, hashlib and struct: see docs/process-authentication.md.
const key = deriveKey('known-answer-cluster-key-of-32-bytes', 'http-mac');
const at: Clock = { wallMs: () => 1_700_000_000_000, monotonicMs: () => 0 };

describe('finding 3: known answers, so that another language can sign', () => {
  it('the derived key', () => {
    expect(key.toString('hex')).toBe('8130241fb1468fd1b1b5e79aaf927cb3556677313e621e29979cbf5993d5e075');
  });

  it('a request without a body', () => {
    const request = {
      method: 'GET',
      authority: '10.0.0.7:7400',
      path: '/internal/log?after=5&limit=10',
      headers: ['Accept', '*/*'],
    };
    const stamp = { unixMs: 1_700_000_000_000, nonce: 'AAAAAAAAAAAAAAAA0', bodyHash: hashOf(undefined) };
    expect(signatureText({ ...stamp, mac: requestMac(key, request, stamp) })).toBe(
      'v1.1700000000000.AAAAAAAAAAAAAAAA0.47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU.J806oAfOvKVu-h2vd6cBGEB-UT-7RpekSXrc1Y2ATA0',
    );
  });

  it('a write of a gateway: headers are signed in the order of the list, whatever order they are sent in', () => {
    const request = {
      method: 'PUT',
      authority: 'Node-1:7400',
      path: '/v1/namespaces/app/configs/caf%C3%A9',
      headers: [
        ...['Content-Type', 'application/json', 'X-Request-Id', 'any', 'idempotency-key', 'order-17'],
        ...['holdfast-comment', 'Gr\u00fc\u00dfe', 'holdfast-operator', '1', 'holdfast-attempt', '1'],
        ...['holdfast-aim-term', '7'],
      ],
    };
    const bodyHash = hashOf('{"k":"v\u00e9"}');
    const stamp = { unixMs: 1_700_000_000_001, nonce: 'AAAAAAAAAAAAAAAA1', bodyHash };
    expect(signatureText({ ...stamp, mac: requestMac(key, request, stamp) })).toBe(
      'v1.1700000000001.AAAAAAAAAAAAAAAA1.MCwGkY7fcqwjess7fB1s7VyWmiAdw2-NWuYdAF2EirM.sKSlx2b4tcOls8iXlX3HCOI_NNqTkz8UWrQlwaE4uh8',
    );
  });

  it('a read proof', () => {
    const proof = 'r1.28333333.KUJ4Uc5AoQn6LX6IzXNt_zy4MHs0UePqLnZyL-QHg2c';
    expect(readProof(key, 'node-1:7400', readSlotAt(at.wallMs()))).toBe(proof);
    const proofs = new ReadProofs('known-answer-cluster-key-of-32-bytes', at);
    expect(proofs.at('http://node-1:7400')).toBe(proof);
    expect(proofs.at('http://node-1:7400')).toBe(proof);
  });
});
