import type { Difference, DifferenceClass, KeyState } from '#libs/contracts';
import { isSameState, type ReferenceEntry } from '../reference/reference.js';
import { type KeyName, nameOf } from './pin.js';

export type ListedKey = KeyName & KeyState;

export interface Classification {
  differences: Difference[];
  /** Keys of which nobody knows what they should be. */
  undecided: number;
}

/** What a node lists of a bucket against the truth of the same version. `truths` has every key that anybody lists. */
export function classify(
  listed: readonly ListedKey[],
  truths: ReadonlyMap<string, KeyName & { truth: ReferenceEntry }>,
): Classification {
  const standing = new Map(listed.map((key) => [nameOf(key), stateOf(key)]));
  const result: Classification = { differences: [], undecided: 0 };
  for (const [name, { namespace, key, truth }] of truths) {
    const found = standing.get(name) ?? null;
    if (truth.state === 'unknown') {
      result.undecided++;
      continue;
    }
    const expected = truth.state === 'present' ? truth.expected : null;
    const kind = classOf(expected, found);
    if (kind !== undefined && truth.disputed) {
      result.undecided++;
      continue;
    }
    if (kind !== undefined) result.differences.push({ namespace, key, class: kind, expected, found });
  }
  return result;
}

function classOf(expected: KeyState | null, found: KeyState | null): DifferenceClass | undefined {
  if (expected === null) return found === null ? undefined : 'extra';
  if (found === null) return 'missing';
  return isSameState(expected, found) ? undefined : 'mismatch';
}

function stateOf({ version, contentType, checksum }: ListedKey): KeyState {
  return { version, contentType, checksum };
}
