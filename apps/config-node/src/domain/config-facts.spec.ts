import { describe, expect, it } from 'vitest';
import { ConfigChanged } from '#libs/contracts';
import { factsOf } from './config-facts.js';

describe('factsOf', () => {
  it('tells each namespace of its keys, without values, under an id of its own', () => {
    const put = (namespace: string, key: string) => ({
      op: 'put' as const,
      namespace,
      key,
      value: Buffer.from('secret'),
      contentType: 'text/plain',
      checksum: 'sha256:0',
    });
    const change = {
      version: 7,
      term: 2,
      chain: 'a'.repeat(64),
      kind: 'change' as const,
      author: 'Zoë',
      comment: null,
      createdAt: '2026-01-01T00:00:00.000Z',
      operations: [put('app', 'a'), put('web', 'b'), { op: 'delete' as const, namespace: 'app', key: 'c' }],
    };
    const facts = factsOf(change);
    expect(facts.map(({ id, namespace, payload }) => [id, namespace, payload.keys])).toEqual([
      [
        'config.changed:7:app',
        'app',
        [
          { key: 'a', op: 'put' },
          { key: 'c', op: 'delete' },
        ],
      ],
      ['config.changed:7:web', 'web', [{ key: 'b', op: 'put' }]],
    ]);
    for (const { payload } of facts) expect(ConfigChanged.parse(payload)).toEqual(payload);
    expect(JSON.stringify(facts)).not.toContain('secret');
  });

  it('has nothing to tell of a lost tail', () => {
    const lost = {
      version: 9,
      term: 3,
      chain: 'a'.repeat(64),
      kind: 'lost' as const,
      lost: { from: 8, to: 9 },
    };
    expect(factsOf({ ...lost, author: null, comment: null, createdAt: '', operations: [] })).toEqual([]);
  });
});
