import { describe, expect, it } from 'vitest';
import { QUERIES } from './parameters.js';
import { parseQuery } from './parse-query.js';

describe('a query', () => {
  it('is read by the schema of its route', () => {
    expect(parseQuery(QUERIES.configs, '/x?prefix=a%2Fb+c&limit=7&values=false')).toMatchObject({
      prefix: 'a/b c',
      limit: 7,
      values: false,
    });
    expect(parseQuery(QUERIES.history, '/x')).toEqual({ limit: 100 });
    expect(parseQuery(QUERIES.configs, '/x')).toEqual({});
    expect(parseQuery(QUERIES.value, '/x?timeout=500ms')).toEqual({ timeout: 500 });
    expect(parseQuery(QUERIES.value, '/x?timeout=5')).toEqual({ timeout: 5_000 });
    expect(parseQuery(QUERIES.value, '/x?minVersion=9007199254740991').minVersion).toBe(
      Number.MAX_SAFE_INTEGER,
    );
  });

  it('may hold UTF-8 as it is', () => {
    const raw = Buffer.from('/x?prefix=ü').toString('latin1');
    expect(parseQuery(QUERIES.configs, raw).prefix).toBe('ü');
  });

  it.each([
    ['/x?limt=1', "unknown query parameter 'limt'"],
    ['/x?limit=1&limit=2', "'limit' occurs twice"],
    ['/x?limit=0', "'limit'"],
    ['/x?limit=1e2', "'limit'"],
    ['/x?limit=', "'limit'"],
    ['/x?limit=%2B1', "'limit'"],
    ['/x?prefix=%ff', 'percent-encoded'],
    ['/x?prefix=%', 'percent-encoded'],
    ['/x?__proto__=1', 'unknown'],
    ['/x?timeout=31s', "'timeout'"],
    ['/x?version=9007199254740993', "'version'"],
  ])('%s is refused, naming the parameter', (target, named) => {
    expect(() => parseQuery(QUERIES.configs, target)).toThrow(named);
  });
});
