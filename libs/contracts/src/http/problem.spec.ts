import { describe, expect, it } from 'vitest';
import { ERRORS } from './errors.js';
import { Problem } from './problem.js';

describe('Problem', () => {
  it('goes through its body and back', () => {
    const problem = new Problem('not-leader', 'ask the leader', { leader: 'http://n2' });
    const again = Problem.fromBody(JSON.parse(JSON.stringify(problem.toBody('/v1/x'))));
    expect(again).toMatchObject({
      code: 'not-leader',
      detail: 'ask the leader',
      members: { leader: 'http://n2' },
    });
    expect(again?.status).toBe(421);
  });

  it.each([null, 7, 'x', {}, { code: 'nonsense' }, { code: 'toString' }])('is not made of %j', (body) => {
    expect(Problem.fromBody(body)).toBeUndefined();
  });
});

describe('the table of errors', () => {
  it('only lets a client repeat blindly what had no effect', () => {
    for (const [code, kind] of Object.entries(ERRORS)) {
      if (kind.status < 500 && ![408, 421, 429].includes(kind.status)) expect(kind.retry, code).toBe('never');
      if ('retryAfterS' in kind) expect(kind.retry, code).toBe('later');
    }
  });
});
