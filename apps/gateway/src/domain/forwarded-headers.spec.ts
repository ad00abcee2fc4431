import { describe, expect, it } from 'vitest';
import { forClient, forNode } from './forwarded-headers.js';

describe('headers for a node', () => {
  it('keeps what the client says and drops what belongs to its connection', () => {
    const forwarded = forNode([
      'Host',
      'localhost:8080',
      'Connection',
      'keep-alive, X-Hop',
      'X-Hop',
      '1',
      'Accept',
      '*/*',
      'Transfer-Encoding',
      'chunked',
      'If-None-Match',
      '"3"',
    ]);
    expect(forwarded.list).toEqual(['accept', '*/*', 'if-none-match', '"3"']);
  });

  it('takes nothing from a client that only the cluster may say', () => {
    const internal = [
      'Holdfast-Cluster-Key',
      'stolen',
      'HOLDFAST-AIM-TERM',
      '9',
      'holdfast-attempt',
      '1',
      'Holdfast-Forwarded',
      '1',
      'Holdfast-Forward',
      '1',
    ];
    expect(forNode([...internal, 'Holdfast-Min-Version', '4']).list).toEqual(['holdfast-min-version', '4']);
  });

  it('a client cannot make the gateway drop a header by naming it twice in Connection', () => {
    expect(forNode(['Connection', 'close', 'Connection', 'a', 'A', '1', 'B', '2']).list).toEqual(['b', '2']);
  });

  it('finds the keys that the gateway itself needs', () => {
    const forwarded = forNode(['X-Request-ID', 'r1', 'Idempotency-Key', 'k1']);
    expect(forwarded).toEqual({
      list: ['x-request-id', 'r1', 'idempotency-key', 'k1'],
      requestId: 'r1',
      idempotencyKey: 'k1',
    });
  });
});

describe('headers for a client', () => {
  it('are those of the node, but for its connection', () => {
    expect(
      forClient({
        etag: '"3"',
        'holdfast-version': '9',
        connection: 'keep-alive',
        'keep-alive': 'timeout=72',
        'transfer-encoding': 'chunked',
        vary: ['a', 'b'],
        'content-length': '3',
      }),
    ).toEqual(['etag', '"3"', 'holdfast-version', '9', 'vary', 'a', 'vary', 'b', 'content-length', '3']);
  });
});
