import { expect, it } from 'vitest';
import { verdictLines } from './report-text.js';

const AT = '2026-01-01T00:00:00.000Z';
const difference = {
  ...{ namespace: 'shop', key: 'banner', class: 'mismatch' as const },
  expected: { version: 3, contentType: 'text/plain', checksum: `sha256:${'a'.repeat(64)}` },
  found: { version: 3, contentType: 'text/plain', checksum: `sha256:${'b'.repeat(64)}` },
};
const nodes = [
  { nodeId: 'node-1', result: 'match' as const, reason: null },
  { nodeId: 'node-2', result: 'mismatch' as const, reason: 'root' as const },
];

it('says on one screen who matches, since when, what is wrong, and what was done', () => {
  const check = {
    ...{ version: 7, chain: 'c'.repeat(64), tookMs: 12.3, consistent: false, nodes, repairs: [] },
    found: [{ nodeId: 'node-2', differences: Array.from({ length: 12 }, () => difference), more: 3 }],
  };
  const node = { nodeId: 'node-1', result: 'match' as const, reason: null, since: AT, checkedAt: AT };
  const repaired = { place: 'node-3', difference: null, outcome: 'reloaded' as const, why: 'too-many' };
  const report = {
    nodes: [{ ...node, version: 7, observer: 'c' }],
    ...{ open: [], rounds: [], repairs: [{ ...repaired, version: 5, observer: 'c', at: AT }] },
    truth: {
      ...{ version: 6, chain: 'c'.repeat(64), entries: 12, tookMs: 3, observer: 'c', at: AT },
      ...{ match: ['node-1'], suspect: ['node-2'], unknown: [] },
    },
    discarded: [{ nodeId: 'node-2', from: 5, to: 7, changes: 3, file: '/data/5-7.ndjson', at: AT }],
  };
  const lines = verdictLines(check, report);
  expect(lines[0]).toBe('NOT CONSISTENT: version 7 (chain cccccccccccc…), compared in 12 ms');
  expect(lines[1]).toBe(
    `With the state in the database at version 6 (12 keys), ${AT}: 1 equal, 1 not, 0 unknown`,
  );
  expect(lines).toContain(`  node-1           match                        since ${AT}`);
  expect(lines).toContain('  node-2           mismatch (root)');
  expect(lines).toContain('  shop/banner mismatch: should be 3 aaaaaaaaaaaa, is 3 bbbbbbbbbbbb');
  expect(lines).toContain('  and 5 more');
  expect(lines).toContain(`  ${AT} node-3 reloaded: the whole state (too-many)`);
  expect(lines.at(-1)).toBe(`  ${AT} node-2 gave up versions 5 to 7: 3 changes are kept in /data/5-7.ndjson`);
  expect(lines.length).toBeLessThan(30);
});
