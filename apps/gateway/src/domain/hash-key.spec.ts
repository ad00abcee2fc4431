import { describe, expect, it } from 'vitest';
import { hashKeyOf } from './hash-key.js';

describe('what is hashed of a request target', () => {
  it.each([
    ['/v1/namespaces/app/configs/a/b', 'app/a/b'],
    ['/v1/namespaces/app/configs/a%2Fb?minVersion=7', 'app/a/b'],
    ['/v1/namespaces/app/configs?key=a%2Fb&minVersion=7', 'app/a/b'],
    ['/v1/namespaces/app/configs?minVersion=7&key=a/b', 'app/a/b'],
    ['/v1/namespaces/app/history/a/b', 'app/a/b'],
    ['/v1/namespaces/app/diff/a/b?from=1&to=2', 'app/a/b'],
    ['/v1/namespaces/other/configs/a/b', 'other/a/b'],
    ['/v1/namespaces/app/configs?prefix=a', 'app/'],
    ['/v1/namespaces/app/configs/bad%ff', 'app/bad%ff'],
    ['/v1/namespaces', '/v1/namespaces'],
    ['/v1/changes?after=3', '/v1/changes?after=3'],
  ])('%s -> %s', (target, key) => expect(hashKeyOf(target)).toBe(key));
});
