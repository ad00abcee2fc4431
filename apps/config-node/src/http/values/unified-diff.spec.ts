import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leastEdits, unifiedDiff } from './unified-diff.ts';

const side = (text: string) => ({ name: 'key', text });
const numbered = (prefix: string, lines: number) =>
  Array.from({ length: lines }, (_, i) => `${prefix}${i}`).join('\n');

describe('the least number of edits between two texts', () => {
  it.each([
    ['', '', 0],
    ['a\nb\n', 'a\nb\n', 0],
    ['a\nb\n', 'b\na\n', 0],
    ['a\nb\n', 'a\nc\n', 2],
    ['a\na\na\n', 'a\n', 2],
    ['__proto__\n', 'constructor\n', 2],
  ])('from %j to %j is %i', (from, to, edits) => {
    expect(leastEdits(from, to)).toBe(edits);
  });

  it('never exceeds the edits of the difference itself', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', '')).map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(text, text, (from, to) => {
        const patch = unifiedDiff(side(from), side(to)) ?? '';
        const edits = patch.split('\n').filter((line) => /^[+-](?!--|\+\+)/.test(line)).length;
        expect(leastEdits(from, to)).toBeLessThanOrEqual(edits);
      }),
    );
  });
});

describe('a difference', () => {
  it('report 1: of texts without a common line is refused before the search for it', () => {
    const [from, to] = [numbered('x', 20_000), numbered('y', 20_000)];
    const before = process.cpuUsage();
    expect(unifiedDiff(side(from), side(to))).toBeUndefined();
    const { user } = process.cpuUsage(before);
    // The search takes more than a second of CPU time.
    expect(user).toBeLessThan(300_000);
  });
});
