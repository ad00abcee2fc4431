import { describe, expect, it } from 'vitest';
import { TimeoutError } from '../deferred.js';
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

describe('report 9g: tables that are not there yet are a state, not a failure', () => {
  it('which is logged once at info, and its end not at all', () => {
    const { failures, lines } = lab();
    const missing = Object.assign(new Error('relation "config.head" does not exist'), {
      name: 'NotMigrated',
    });
    failures.failed('reading the head', missing);
    failures.failed('reading the head', missing);
    failures.succeeded('reading the head');
    expect(lines).toEqual([
      'info reading the head waits for the tables to be made',
      'debug reading the head waits for the tables to be made',
    ]);
  });

  it('and gives way to a failure', () => {
    const { failures, lines } = lab();
    failures.failed('reading the head', Object.assign(new Error('no table'), { name: 'NotMigrated' }));
    failures.failed('reading the head', late);
    failures.succeeded('reading the head');
    expect(lines.at(-2)).toBe('warn reading the head failed, retrying: late');
    expect(lines.at(-1)).toBe('info reading the head succeeded again');
  });
});

describe('item 2: a loop', () => {
  it('has recovered when a run did something, not when it found nothing to do', async () => {
    const { failures, lines } = lab();
    const runs = ['fail', 'nothing', 'work'];
    const done = Promise.withResolvers<void>();
    const loop = failures.repeat(
      'reading the head',
      async () => {
        const run = runs.shift();
        if (run === 'fail') throw late;
        if (run === 'work') await new Promise((resolve) => setTimeout(resolve, 1));
        if (run === undefined) done.resolve();
        if (run === 'nothing') expect(lines).toHaveLength(1);
        if (run === 'work') expect(lines).toHaveLength(1);
      },
      { everyMs: 1 },
    );
    await done.promise;
    await loop.stop();
    expect(lines).toEqual([
      'warn reading the head failed, retrying: late',
      'info reading the head succeeded again',
    ]);
  });
});
