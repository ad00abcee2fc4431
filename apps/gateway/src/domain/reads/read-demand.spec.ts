import { describe, expect, it } from 'vitest';
import { demandOf } from './read-demand.js';

describe('finding 10: what a read demands', () => {
  it.each([
    ['/v1/namespaces/app/configs/a/b', undefined, { plain: true, heavy: false, minVersion: 0 }],
    ['/v1/namespaces/app/configs?key=a', undefined, { plain: true, heavy: false }],
    ['/v1/namespaces/app/configs/a?minVersion=7', undefined, { plain: false, heavy: false, minVersion: 7 }],
    ['/v1/namespaces/app/configs/a?minVersion=7', '9', { plain: false, minVersion: 9 }],
    ['/v1/namespaces/app/configs/a', '0', { plain: false, minVersion: 0 }],
    ['/v1/namespaces/app/configs/a?minVersion=x', 'y', { minVersion: 0 }],
    ['/v1/namespaces/app/configs/a?version=3', undefined, { plain: false, heavy: false, minVersion: 0 }],
    [
      '/v1/namespaces/app/configs/a?consistency=linearizable',
      undefined,
      { linearizable: true, plain: false },
    ],
    ['/v1/namespaces/app/configs/a?timeout=1s', undefined, { plain: true }],
    ['/v1/namespaces/app/configs', undefined, { heavy: true, plain: false }],
    ['/v1/namespaces/app/configs?prefix=a', undefined, { heavy: true, plain: false }],
    ['/v1/namespaces/app/history/a', undefined, { heavy: true, plain: false }],
    ['/v1/namespaces/app/diff/a?from=1', undefined, { heavy: true, plain: false }],
    ['/v1/namespaces/configs/history/a', undefined, { heavy: true }],
    ['/v1/namespaces', undefined, { heavy: true }],
    ['/v1/changes?after=3&minVersion=4', undefined, { heavy: true, minVersion: 4 }],
  ])('%s with %s', (target, seen, expected) => {
    expect(demandOf(target, seen)).toMatchObject(expected);
  });
});
