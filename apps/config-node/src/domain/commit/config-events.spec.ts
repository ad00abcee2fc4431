import { describe, expect, it } from 'vitest';
import { ConfigChanged } from '#libs/contracts';
import { factsOf } from './config-events.js';

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

  it('finding 9: it tells as many keys as a message holds, and that there are more', () => {
    const operations = Array.from({ length: 1_000 }, (_, i) => ({
      ...{ op: 'delete' as const, namespace: 'app', key: `${'"\\'.repeat(254)}${i}` },
    }));
    const comment = '\u0001'.repeat(4_096);
    const at = { version: 7, term: 2, chain: 'a'.repeat(64), kind: 'change' as const, createdAt: 'now' };
    const [fact] = factsOf({ ...at, author: comment, comment, operations });
    expect(Buffer.byteLength(JSON.stringify(fact?.payload))).toBeLessThan(512 * 1024);
    expect(fact?.payload).toMatchObject({ keyCount: 1_000, truncated: true });
    expect(fact?.payload.keys.length).toBeGreaterThan(200);
    expect(fact?.payload.keys).toEqual(
      operations.slice(0, fact?.payload.keys.length).map(({ key, op }) => ({ key, op })),
    );
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
