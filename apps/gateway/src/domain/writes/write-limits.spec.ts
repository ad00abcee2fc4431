import { describe, expect, it } from 'vitest';
import { bodyLimit } from './write-limits.js';

describe('how large a body may be', () => {
  it.each([
    ['PUT', '/v1/namespaces/a/configs/b', 1024 * 1024],
    ['POST', '/v1/changes', 8 * 1024 * 1024],
    ['POST', '/v1/namespaces/a/rollback/b', 64 * 1024],
    ['DELETE', '/v1/namespaces/a/configs/b', 64 * 1024],
  ])('%s %s: %d bytes', (method, target, bytes) => {
    expect(bodyLimit(method, target)).toBe(bytes);
  });
});
