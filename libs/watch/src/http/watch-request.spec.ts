import { describe, expect, it } from 'vitest';
import { Problem } from '#libs/contracts';
import { demandAcceptable, namespaceWatch, severalWatches } from './watch-request.js';

const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
  return 'fine';
};

describe('a request for a watch', () => {
  it('of one namespace', () => {
    const watch = namespaceWatch('app', '/v1/namespaces/app/watch?prefix=db%2F&from=7&initial=true', {});
    expect(watch).toMatchObject({ from: 7, initial: true, waitMs: undefined });
    expect(watch.filter.parts).toEqual([{ namespace: 'app', prefix: 'db/' }]);
  });

  it('of several, where a prefix may contain a colon', () => {
    const watch = severalWatches('/v1/watch?w=a:db/&w=b&w=c:x:y&wait=30s', {});
    expect(watch.filter.parts).toEqual([
      { namespace: 'a', prefix: 'db/' },
      { namespace: 'b', prefix: '' },
      { namespace: 'c', prefix: 'x:y' },
    ]);
    expect(watch.waitMs).toBe(30_000);
  });

  it('goes on from Last-Event-ID, which a browser adds to the address it was given', () => {
    const watch = namespaceWatch('app', '/x?from=7&initial=true', { 'last-event-id': '12' });
    expect(watch).toMatchObject({ from: 12, initial: false });
  });

  it.each([
    ['/x?from=-1', {}],
    ['/x?from=1.5', {}],
    ['/x?from=99999999999999999999', {}],
    ['/x?from=1&from=2', {}],
    ['/x?form=1', {}],
    ['/x?initial=yes', {}],
    ['/x?wait=61s', {}],
    ['/x?wait=1h', {}],
    ['/x?wait=1s&initial=true', {}],
    ['/x?prefix=%ff', {}],
    ['/x', { 'last-event-id': 'abc' }],
  ])('is refused: %s', (target, headers) => {
    expect(code(() => namespaceWatch('app', target, headers))).toBe('invalid-request');
  });

  it('is refused for what is no namespace, and for no or too many watches', () => {
    expect(code(() => namespaceWatch('No', '/x', {}))).toBe('invalid-key');
    expect(code(() => severalWatches('/x', {}))).toBe('invalid-request');
    expect(code(() => severalWatches(`/x?${'w=a&'.repeat(101)}`, {}))).toBe('invalid-request');
    expect(code(() => severalWatches(`/x?${'w=a&'.repeat(100)}`, {}))).toBe('fine');
  });

  it('must be willing to read what a watch is', () => {
    const watch = namespaceWatch('app', '/x', {});
    const poll = namespaceWatch('app', '/x?wait=1s', {});
    expect(code(() => demandAcceptable(watch, 'text/event-stream'))).toBe('fine');
    expect(code(() => demandAcceptable(watch, 'application/json'))).toBe('not-acceptable');
    expect(code(() => demandAcceptable(poll, 'application/json'))).toBe('fine');
    expect(code(() => demandAcceptable(poll, 'text/event-stream'))).toBe('not-acceptable');
  });
});
