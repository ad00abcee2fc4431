import { describe, expect, it } from 'vitest';
import { RouteTable } from './route-table.js';

describe('RouteTable', () => {
  const table = new RouteTable();
  table.add('/v1/namespaces/:ns/configs/*', ['GET', 'HEAD']);
  table.add('/v1/namespaces/:ns/configs/*', 'PUT');
  table.add('/v1/changes', 'POST');

  it.each([
    ['/v1/namespaces/app/configs/a/b?x=1', ['GET', 'HEAD', 'PUT']],
    ['/v1/namespaces/app/other/configs/a', []],
    ['/v1/changes?after=3', ['POST']],
    ['/v1/changesX', []],
  ])('%s -> %j', (url, methods) => {
    expect(table.methodsAt(url)).toEqual(methods);
  });
});
