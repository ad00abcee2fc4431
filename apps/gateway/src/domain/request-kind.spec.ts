import { describe, expect, it } from 'vitest';
import { kindOf } from './request-kind.js';

describe('what is done with a request', () => {
  it.each([
    ['GET', '/v1/namespaces', 'read'],
    ['GET', '/v1/namespaces?x=1', 'read'],
    ['GET', '/v1/namespaces/app/configs/a/b', 'read'],
    ['HEAD', '/v1/namespaces/app/configs/a', 'read'],
    ['GET', '/v1/namespaces/app/configs?prefix=a/', 'read'],
    ['GET', '/v1/namespaces/app/history/a', 'read'],
    ['GET', '/v1/namespaces/app/diff/a?from=1&to=2', 'read'],
    ['GET', '/v1/changes?after=3', 'read'],
    ['PUT', '/v1/namespaces/app/configs/watch', 'write'],
    ['GET', '/v1/namespaces/app/configs/watch', 'read'],
    ['DELETE', '/v1/namespaces/app/configs/a', 'write'],
    ['PUT', '/v1/namespaces/app/configs?key=a', 'write'],
    ['POST', '/v1/namespaces/app/rollback/a', 'write'],
    ['POST', '/v1/changes', 'write'],
    ['GET', '/v1/namespaces/app/watch?prefix=', 'own'],
    ['GET', '/v1/watch?w=app:', 'own'],
    ['GET', '/v1/cluster', 'own'],
    ['GET', '/v1/namespacesX', 'own'],
    ['POST', '/v1/namespaces', 'own'],
    ['PATCH', '/v1/namespaces/app/configs/a', 'own'],
    ['POST', '/v1/namespaces/app/configs/a', 'own'],
    ['GET', '/v1/namespaces/app', 'own'],
    ['PUT', '/v1/changes', 'own'],
    ['GET', '/', 'own'],
  ])('%s %s is %s', (method, target, kind) => {
    expect(kindOf(method, target)).toBe(kind);
  });
});
