import { describe, expect, it } from 'vitest';
import { findingOf, findingOfError, type HealthResponse } from './finding.js';

const WALL = Date.parse('2026-01-01T00:00:00Z');
const ready = { status: 'ready', checks: { state: { ok: true, version: 7 } } };
const unready = {
  status: 'not-ready',
  nodeId: 'node-1',
  incarnation: 9,
  checks: { state: { ok: false }, bus: { ok: true }, serving: { ok: false, detail: 'x' } },
};
const answer = (status: number, body: unknown, retryAfter?: string): HealthResponse => ({
  status,
  retryAfter,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

const cases: [string, HealthResponse, object][] = [
  ['200, ready', answer(200, ready), { result: 'ok' }],
  [
    '200, and who it is',
    answer(200, { ...ready, nodeId: 'node-1', incarnation: 9 }),
    { result: 'ok', incarnation: 9 },
  ],
  ['200 of another node', answer(200, { ...ready, nodeId: 'node-2' }), { result: 'garbled' }],
  ['503 of another node', answer(503, { ...unready, nodeId: 'node-2' }), { result: 'garbled' }],
  [
    '503, the failed checks by name',
    answer(503, unready),
    { result: 'not-ready', failed: ['state', 'serving'], incarnation: 9 },
  ],
  [
    '200 that says not-ready',
    answer(200, unready),
    { result: 'not-ready', failed: ['state', 'serving'], incarnation: 9 },
  ],
  ['503 without a report', answer(503, 'Service Unavailable'), { result: 'not-ready' }],
  ['503 with Retry-After', answer(503, unready, '3'), { result: 'busy', retryAfterMs: 3_000 }],
  ['429 with Retry-After', answer(429, '', ' 0 '), { result: 'busy', retryAfterMs: 0 }],
  [
    '429 with a date',
    answer(429, '', 'Thu, 01 Jan 2026 00:00:07 GMT'),
    { result: 'busy', retryAfterMs: 7_000 },
  ],
  [
    '429 with a date that is past',
    answer(429, '', 'Wed, 31 Dec 2025 00:00:00 GMT'),
    { result: 'busy', retryAfterMs: 0 },
  ],
  ['429 without Retry-After', answer(429, ''), { result: 'bad-status' }],
  ['429 with nonsense', answer(429, '', 'soon'), { result: 'bad-status' }],
  ['404', answer(404, ready), { result: 'bad-status' }],
  ['500', answer(500, ready), { result: 'bad-status' }],
  ['204', answer(204, ''), { result: 'bad-status' }],
  ['200, no JSON', answer(200, '<html>'), { result: 'garbled' }],
  ['200, other JSON', answer(200, { ok: true }), { result: 'garbled' }],
  ['200, cut short', answer(200, JSON.stringify(ready).slice(0, -3)), { result: 'garbled' }],
];

describe('what a probe found', () => {
  it.each(cases)('%s', (_name, given, expected) => {
    expect(findingOf(given, 'node-1', WALL)).toEqual(expected);
  });

  it.each([
    ['ECONNREFUSED', 'refused'],
    ['ENOTFOUND', 'refused'],
    ['ECONNRESET', 'reset'],
    ['UND_ERR_SOCKET', 'reset'],
    ['UND_ERR_CONNECT_TIMEOUT', 'timeout'],
    ['HPE_INVALID_CONSTANT', 'garbled'],
    [undefined, 'reset'],
  ])('no answer because of %s: %s', (code, result) => {
    expect(findingOfError(code)).toEqual({ result });
  });

  it('names a bounded number of failed checks', () => {
    const checks = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`check-${i}`, { ok: false }]));
    const { failed } = findingOf(answer(503, { status: 'not-ready', checks }), 'node-1', WALL);
    expect(failed).toHaveLength(20);
  });
});
