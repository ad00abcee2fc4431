import { describe, expect, it } from 'vitest';
import { TimeoutError } from './deferred.js';
import { FailureLog } from './failure-log.js';

function lab() {
  const lines: string[] = [];
  let nowMs = 0;
  const log = (level: string) => (fields: object, message: string) => {
    lines.push(`${level} ${message}${'reason' in fields ? `: ${fields.reason}` : ''}`);
  };
  const clock = { monotonicMs: () => nowMs, wallMs: () => nowMs };
  const failures = new FailureLog({ debug: log('debug'), info: log('info'), warn: log('warn') }, clock);
  return { lines, failures, pass: (ms: number) => (nowMs += ms) };
}

const late = new TimeoutError('late');

describe('item 2: an expected failure is logged once per change of state', () => {
  it('at warn when it begins, at info when it ends, at debug in between', () => {
    const { failures, lines, pass } = lab();
    failures.succeeded('renewing leases');
    for (let tries = 0; tries < 3; tries++, pass(500)) failures.failed('renewing leases', late);
    failures.succeeded('renewing leases');
    failures.succeeded('renewing leases');
    failures.failed('renewing leases', late);
    expect(lines).toEqual([
      'warn renewing leases failed, retrying: late',
      'debug renewing leases failed, retrying: late',
      'debug renewing leases failed, retrying: late',
      'info renewing leases succeeded again',
      'warn renewing leases failed, retrying: late',
    ]);
  });

  it('of each operation by itself, and again after a minute without one', () => {
    const { failures, lines, pass } = lab();
    failures.failed('asking a node', late);
    failures.failed('pruning', late);
    pass(60_000);
    failures.failed('asking a node', late);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['warn', 'warn', 'warn']);
  });
});
