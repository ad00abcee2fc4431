import { expect, it } from 'vitest';
import { Readiness } from './readiness.js';

it('is ready while every required check passes, and names each one', () => {
  const readiness = new Readiness();
  let state = true;
  readiness.add('state', () => ({ ok: state, version: 7 }), { required: true });
  readiness.add('bus', () => ({ ok: false }), { required: false });
  expect(readiness.report()).toEqual({
    status: 'ready',
    checks: { state: { ok: true, version: 7 }, bus: { ok: false } },
  });
  state = false;
  expect(readiness.report().status).toBe('not-ready');
});

it('says who answers, and lets nobody contradict the checks', () => {
  const readiness = new Readiness();
  readiness.describe(() => ({ nodeId: 'node-1', lag: 3, status: 'splendid', checks: {} }));
  readiness.add('state', () => ({ ok: false }), { required: true });
  expect(readiness.report()).toEqual({
    nodeId: 'node-1',
    lag: 3,
    status: 'not-ready',
    checks: { state: { ok: false } },
  });
});
