import { describe, expect, it } from 'vitest';
import { Problem } from '#libs/contracts';
import { publishProblem } from './publish-problem.js';

const remove = (key: string) => ({ op: 'delete' as const, namespace: 'app', key });
const set = { kind: 'change-set' as const, operations: [remove('a'), remove('b')] };

describe('the problem of a publish', () => {
  it('is a doubt about the outcome when nobody foresaw the error', () => {
    const error = new TypeError('version of undefined');
    const problem = publishProblem(error, set);
    expect([problem.status, problem.code, problem.cause]).toEqual([504, 'outcome-unknown', error]);
  });

  it('is what the publisher said, naming the operation of a change set', () => {
    const absent = new Problem('key-not-found', 'there is no key', { namespace: 'app', key: 'b' });
    expect(publishProblem(absent, set)).toMatchObject({
      code: 'key-not-found',
      detail: 'there is no key',
      members: { operation: 1, namespace: 'app', key: 'b' },
    });
    expect(publishProblem(absent, { kind: 'delete', operations: [remove('b')] })).toBe(absent);
  });

  it('stays what it is when it is about no operation, or names one', () => {
    for (const problem of [
      new Problem('no-leader', ''),
      new Problem('invalid-value', '', { operation: 0, namespace: 'app', key: 'b' }),
      new Problem('invalid-key', '', { namespace: 'web', key: 'b' }),
    ]) {
      expect(publishProblem(problem, set)).toBe(problem);
    }
  });
});
