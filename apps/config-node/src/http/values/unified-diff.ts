import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';

/** More inserted and removed lines than this, and a difference is of no use to a reader. */
const MAX_EDITS = 5_000;
const MAX_BYTES = 4 * 1024 * 1024;

export interface DiffSide {
  name: string;
  text: string;
}

/** The unified difference of two texts; undefined when it is too large. */
export function unifiedDiff(from: DiffSide, to: DiffSide): string | undefined {
  if (leastEdits(from.text, to.text) > MAX_EDITS) return undefined;
  const patch = createTwoFilesPatch(from.name, to.name, from.text, to.text, undefined, undefined, {
    context: 3,
    maxEditLength: MAX_EDITS,
    headerOptions: FILE_HEADERS_ONLY,
  });
  return patch === undefined || patch.length > MAX_BYTES ? undefined : patch;
}

/**
 * A lower bound of the inserted and removed lines, in linear time: lines that one text has more often than the other,
 * wherever they stand. The search for the shortest difference takes quadratic time to find that there is none.
 */
export function leastEdits(from: string, to: string): number {
  const surplus = new Map<string, number>();
  for (const line of linesOf(from)) surplus.set(line, (surplus.get(line) ?? 0) + 1);
  for (const line of linesOf(to)) surplus.set(line, (surplus.get(line) ?? 0) - 1);
  let edits = 0;
  for (const count of surplus.values()) edits += Math.abs(count);
  return edits;
}

function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
