import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { TimeoutError } from '../deferred.js';
import { classifyFailure } from './failure-class.js';
import { InvariantViolation } from './invariant.js';

const named = (name: string) => Object.assign(new Error('x'), { name });
const coded = (code: string) => Object.assign(new Error('x'), { code });

async function causedBy(act: () => unknown): Promise<unknown> {
  try {
    await act();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

describe('item 2: a failure is expected by a closed list, else unforeseen, and a mistake in the program is a defect', () => {
  it.each([
    ['a refused fetch', () => fetch('http://127.0.0.1:1/')],
    ['an aborted fetch', () => fetch('http://127.0.0.1:1/', { signal: AbortSignal.abort() })],
    ['a time-out', () => fetch('http://127.0.0.1:1/', { signal: AbortSignal.timeout(0) })],
    ['a missing file', () => readFile('/no/such/file')],
    ['JSON that is none', () => JSON.parse('{')],
    ['bytes that are not UTF-8', () => new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from([0xff]))],
    ['an address that is none', () => new URL('no address')],
  ])('%s is expected', async (_what, act) => {
    expect(classifyFailure(await causedBy(act))).toBe('expected');
  });

  it.each([
    ...['Problem', 'BusError', 'CacheUnavailable', 'StorageUnavailable', 'OutcomeUnknown', 'DataError'],
    ...['NoResponders', 'ConnectionError', 'JetStreamApiError', 'AbortError'],
  ])('%s is expected', (name) => {
    expect(classifyFailure(named(name))).toBe('expected');
  });

  it.each(['ECONNREFUSED', 'ENOSPC', 'UND_ERR_SOCKET', 'HPE_INVALID_CONSTANT', '57P01'])(
    'an error with the code %s is expected',
    (code) => {
      expect(classifyFailure(coded(code))).toBe('expected');
    },
  );

  it.each([
    ['a property of nothing', () => Reflect.get(Object(null), 'a').b],
    ['a call of what is no function', () => Reflect.apply(Object(1), undefined, [])],
    ['a length that cannot be', () => new Array(-1)],
    ['an argument that Node refuses', () => Buffer.from(Object(1))],
    [
      'endless recursion',
      function again(): unknown {
        return again();
      },
    ],
  ])('%s is a defect', async (_what, act) => {
    expect(classifyFailure(await causedBy(act))).toBe('defect');
  });

  it('finds a broken invariant under what it was wrapped in', () => {
    const broken = new InvariantViolation('the queue holds 3 writes of 2');
    const wrapped = Object.assign(new Error('refused', { cause: broken }), { name: 'Problem' });
    expect(classifyFailure(broken)).toBe('defect');
    expect(classifyFailure(wrapped)).toBe('defect');
    expect(classifyFailure(new AggregateError([new TimeoutError('late'), wrapped]))).toBe('defect');
  });

  it('takes nothing else for expected', () => {
    expect(classifyFailure(new Error('what is this'))).toBe('unforeseen');
    expect(classifyFailure('a text')).toBe('unforeseen');
    const circle = new Error('a');
    circle.cause = circle;
    expect(classifyFailure(circle)).toBe('unforeseen');
  });
});
