import { describe, expect, it } from 'vitest';
import { missingBody } from './missing-body.js';

describe('report 9f: a PUT without a body', () => {
  it.each([
    [{}, 0, 'refused'],
    [{ 'content-type': 'text/plain' }, 0, 'refused'],
    [{ 'content-length': '0' }, 0, 'refused'],
    [{ 'transfer-encoding': 'chunked' }, 0, 'refused'],
    [{ 'content-length': '0', 'content-type': 'text/plain' }, 0, 'stored'],
    [{ 'transfer-encoding': 'chunked', 'content-type': 'text/plain' }, 0, 'stored'],
    [{ 'content-length': '1' }, 1, 'stored'],
    [{}, 1, 'stored'],
  ])('with %j and %d bytes is %s', (headers, bytes, outcome) => {
    expect(missingBody(headers, bytes)?.code).toBe(outcome === 'stored' ? undefined : 'invalid-request');
  });
});
