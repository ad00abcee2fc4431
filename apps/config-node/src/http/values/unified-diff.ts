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
  const patch = createTwoFilesPatch(from.name, to.name, from.text, to.text, undefined, undefined, {
    context: 3,
    maxEditLength: MAX_EDITS,
    headerOptions: FILE_HEADERS_ONLY,
  });
  return patch === undefined || patch.length > MAX_BYTES ? undefined : patch;
}
