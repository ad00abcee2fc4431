import { describe, expect, it } from 'vitest';
import type { ProbeResult } from '#libs/contracts';
import { type CheckMove, changeOf, NodeCheck } from './node-check.js';

const AT = '2026-01-01T00:00:00.000Z';
const settings = { observer: 'health-1', rise: 2, fall: 3, recentKept: 5, transitionsKept: 4 };
const known = (incarnation = 100) => {
  const check = new NodeCheck('node-1', settings);
  check.isNow(incarnation);
  return check;
};
const took = (wallMs = 0) => ({ ms: 1.26, at: AT, wallMs });
const give = (check: NodeCheck, ...results: ProbeResult[]) =>
  results.map((result) => check.probed({ result }, took())).filter((move) => move !== undefined);
const shown = (moves: CheckMove[]) =>
  moves.map(({ from, to, reason, seq }) => `${from} -> ${to} ${reason} #${seq}`);

describe('the checks of a node', () => {
  it('begin with nothing, and say only what has changed', () => {
    const check = known();
    expect(check.state).toBe('unknown');
    expect(shown(give(check, 'ok'))).toEqual([]);
    expect(shown(give(check, 'ok', 'ok', 'ok'))).toEqual(['unknown -> up null #1']);
    expect(shown(give(check, 'refused', 'refused', 'ok', 'refused', 'refused'))).toEqual([]);
    expect(shown(give(check, 'refused', 'refused'))).toEqual(['up -> down refused #2']);
    expect(shown(give(check, 'ok', 'refused', 'ok', 'ok'))).toEqual(['down -> up null #3']);
  });

  it('tell the evidence: how many in a row, which, and the checks that failed', () => {
    const check = known();
    give(check, 'timeout', 'refused');
    const move = check.probed({ result: 'not-ready', failed: ['state'] }, took());
    expect(move).toMatchObject({
      incarnation: 100,
      reason: 'not-ready',
      observer: 'health-1',
      evidence: { consecutive: 3, results: ['not-ready', 'refused', 'timeout'], failed: ['state'] },
      at: AT,
    });
  });

  it('do not count one who asks for patience', () => {
    const check = known();
    expect(give(check, 'ok', 'ok', 'busy', 'busy', 'busy', 'busy')).toHaveLength(1);
    expect(check.state).toBe('up');
    expect(shown(give(check, 'refused', 'busy', 'refused', 'busy', 'refused'))).toEqual([
      'up -> down refused #2',
    ]);
  });

  it('say so when a node that does not answer begins to answer badly, but not at one stray result', () => {
    const check = known();
    give(check, 'refused', 'refused', 'refused');
    expect(shown(give(check, 'timeout', 'reset', 'not-ready', 'refused', 'not-ready', 'not-ready'))).toEqual(
      [],
    );
    expect(shown(give(check, 'bad-status'))).toEqual(['down -> down bad-status #2']);
    expect(shown(give(check, 'not-ready', 'garbled'))).toEqual([]);
  });

  it('begin anew with a new incarnation, and ignore one that is gone', () => {
    const check = known();
    give(check, 'refused', 'refused', 'refused');
    expect(check.standing).toMatchObject({ to: 'down', incarnation: 100 });
    expect(check.probed({ result: 'ok', incarnation: 101 }, took())).toBeUndefined();
    expect(check.state).toBe('unknown');
    expect(check.standing).toBeUndefined();
    expect(check.probed({ result: 'ok', incarnation: 100 }, took())).toBeUndefined();
    expect(check.probed({ result: 'ok', incarnation: 101 }, took())).toMatchObject({
      from: 'unknown',
      to: 'up',
      incarnation: 101,
    });
  });

  it('tell nobody of a node whose incarnation is not known', () => {
    const check = new NodeCheck('node-1', settings);
    const [move] = give(check, 'refused', 'refused', 'refused');
    expect(move).toMatchObject({ to: 'down', incarnation: 0 });
    expect(move && changeOf(move)).toBeUndefined();
    expect(check.standing).toBeUndefined();
  });

  it('number their changes above all that was heard, and above the clock', () => {
    const check = known();
    check.noteSeq(41);
    expect(shown(give(check, 'ok', 'ok'))).toEqual(['unknown -> up null #42']);
    give(check, 'refused', 'refused');
    expect(check.probed({ result: 'refused' }, took(1_000))?.seq).toBe(1_000);
    check.noteSeq(2_000);
    expect(check.repeat(took(1_500))).toMatchObject({ from: 'down', to: 'down', seq: 2_001 });
    expect(check.standing?.seq).toBe(2_001);
  });

  it('keep a bounded history, the newest first', () => {
    const check = known();
    for (let i = 0; i < 20; i++) give(check, 'ok', 'ok', 'refused', 'refused', 'timeout');
    const { recent, transitions } = check.report();
    expect(recent.map(({ result }) => result)).toEqual(['timeout', 'refused', 'refused', 'ok', 'ok']);
    expect(recent[0]).toEqual({ at: AT, result: 'timeout', ms: 1.3 });
    expect(transitions.map(({ seq }) => seq)).toEqual([40, 39, 38, 37]);
  });
});
