import { describe, expect, it } from 'vitest';
import type { Operation } from '#libs/contracts';
import { InvariantViolation } from '#libs/kernel';
import type { BatchChange, Fence } from '../domain/log.types.js';
import { commitParameters } from './commit-parameters.js';

const CHAIN = 'ab'.repeat(32);
const fence: Fence = { term: 3, leaderId: 'node-1', incarnation: 9, attempt: 2, version: 10, chain: CHAIN };

const put = (key: string, value: string): Operation => ({
  op: 'put',
  namespace: 'app',
  key,
  value: Buffer.from(value),
  contentType: 'text/plain',
  checksum: `sha256:${'cd'.repeat(32)}`,
});
const remove = (key: string): Operation => ({ op: 'delete', namespace: 'app', key });

function change(
  version: number,
  operations: Operation[],
  more: Partial<BatchChange['change']> = {},
): BatchChange {
  return {
    change: {
      version,
      term: 3,
      chain: CHAIN,
      kind: 'change',
      author: null,
      comment: null,
      operations,
      ...more,
    },
    requestId: null,
    requestHash: null,
    requestKind: null,
    created: operations.map(() => false),
  };
}

describe('commitParameters', () => {
  it('sends all values as one buffer with offsets that count from 1', () => {
    const parameters = commitParameters(fence, [
      change(11, [put('a', 'one'), remove('b'), put('c', '')]),
      change(12, [put('d', 'four')]),
    ]);
    expect(parameters[19]).toEqual(Buffer.from('onefour'));
    expect(parameters.slice(29)).toEqual([
      [1, 4, 4, 4],
      [3, 0, 0, 4],
    ]);
    expect(parameters[6]).toBe(12);
  });

  it('marks the last operation of each key, over puts and deletes and over changes', () => {
    const parameters = commitParameters(fence, [
      change(11, [put('a', '1'), remove('b'), put('c', '1')]),
      change(12, [remove('a'), put('b', '2')]),
      change(13, [put('a', '3')]),
    ]);
    expect(parameters[25]).toEqual([false, false, true, false, true, true]);
  });

  it('lets only a lost tail leave numbers out', () => {
    expect(() => commitParameters(fence, [change(12, [])])).toThrow(InvariantViolation);
    expect(() => commitParameters(fence, [change(10, [])])).toThrow(InvariantViolation);
    const lost = change(15, [], { kind: 'lost', lost: { from: 11, to: 15 } });
    expect(commitParameters(fence, [lost, change(16, [])])[6]).toBe(16);
  });

  it('commits no change of another term', () => {
    expect(() => commitParameters(fence, [change(11, [], { term: 2 })])).toThrow(InvariantViolation);
  });
});
