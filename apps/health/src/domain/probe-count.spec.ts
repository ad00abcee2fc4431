import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { count, NOTHING_COUNTED, type ProbeCount, phaseOf, type Thresholds } from './probe-count.js';

const RISE_2_FALL_3 = { rise: 2, fall: 3 };
const LETTERS = { up: 'U', down: 'D', unknown: '?' };

function run(results: string, from: ProbeCount, thresholds: Thresholds = RISE_2_FALL_3): ProbeCount[] {
  let at = from;
  return [...results].map((letter) => {
    at = count(at, letter === 'S' ? 'pass' : 'fail', thresholds);
    return at;
  });
}
const shown = (counts: ProbeCount[]) =>
  counts.map(({ state, counter }) => `${LETTERS[state]}${counter}`).join(',');

const full: ProbeCount = { ...NOTHING_COUNTED, state: 'up', counter: 4 };

describe('the counter of a node that is up', () => {
  it.each([
    ['FFF', 'U3,U2,D0'],
    ['FFSFFSFFF', 'U3,U2,U4,U3,U2,U4,U3,U2,D0'],
    ['FSFSFSFS', 'U3,U4,U3,U4,U3,U4,U3,U4'],
    ['FFFSFSS', 'U3,U2,D0,D1,D0,D1,U4'],
  ])('%s -> %s', (results, expected) => {
    expect(shown(run(results, full))).toBe(expected);
  });
});

describe('the counter of a node that nothing is known of', () => {
  it.each([
    ['SS', '?1,U4'],
    ['SFSS', '?1,?0,?1,U4'],
    ['FFF', '?0,?0,D0'],
    ['FFSFFF', '?0,?0,?1,?0,?0,D0'],
    ['FFFSS', '?0,?0,D0,D1,U4'],
  ])('%s -> %s', (results, expected) => {
    expect(shown(run(results, NOTHING_COUNTED))).toBe(expected);
  });
});

it('is worth asking soon exactly while the state may change', () => {
  const phases = run('SSFSFFFSS', NOTHING_COUNTED).map((at) => phaseOf(at, RISE_2_FALL_3));
  expect(phases).toEqual(['moving', 'up', 'moving', 'up', 'moving', 'moving', 'down', 'moving', 'up']);
  expect(phaseOf(NOTHING_COUNTED, RISE_2_FALL_3)).toBe('moving');
});

it('counts consecutive results, whatever came before', () => {
  const results = fc.array(fc.constantFrom('S', 'F'), { maxLength: 40 }).map((letters) => letters.join(''));
  const thresholds = fc.record({
    rise: fc.integer({ min: 1, max: 5 }),
    fall: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(results, thresholds, (letters, { rise, fall }) => {
      const last = run(letters, NOTHING_COUNTED, { rise, fall }).at(-1) ?? NOTHING_COUNTED;
      // The last row that was long enough to decide, by definition.
      const rows = [...letters.matchAll(/S+|F+/g)].map(([row]) => row);
      const decisive = rows.findLast((row) => row.length >= (row.startsWith('S') ? rise : fall));
      const expected = decisive === undefined ? 'unknown' : decisive.startsWith('S') ? 'up' : 'down';
      expect(last.state).toBe(expected);
      expect(last.consecutive.count).toBe(rows.at(-1)?.length ?? 0);
      expect(last.counter).toBeLessThanOrEqual(rise + fall - 1);
      expect(last.counter).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 10_000 },
  );
});
