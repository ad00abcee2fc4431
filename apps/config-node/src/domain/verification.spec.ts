import { describe, expect, it } from 'vitest';
import type { DigestReply } from '#libs/contracts';
import {
  compareDigests,
  MAX_RELOADS,
  NOBODY_ANSWERS_MS,
  nextStep,
  type VerificationState,
  type VerificationStep,
} from './verification.js';

const CHAIN = 'c'.repeat(64);
const SAME = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const own = { format: 1, version: 7, chain: CHAIN, hash: SAME };

function says(nodeId: string, hash: string, part: Partial<DigestReply> = {}): DigestReply {
  return { ...own, nodeId, hash, verified: 'by-peer', damagedBuckets: [], ...part };
}
const pending = { verified: 'pending' } as const;

describe('compareDigests', () => {
  it.each([
    ['nobody answers', [], 'unknown'],
    ['another version', [says('n2', OTHER, { version: 8 })], 'unknown'],
    ['another history', [says('n2', OTHER, { chain: 'd'.repeat(64) })], 'unknown'],
    ['another algorithm', [says('n2', OTHER, { format: 2 })], 'unknown'],
    ['the same', [says('n2', SAME)], 'equal n2'],
    ['the same, by one that has just begun too', [says('n2', SAME, pending)], 'equal n2'],
    ['another, by a verified one', [says('n2', OTHER)], 'unequal n2'],
    [
      'another, by one that was verified by the chain',
      [says('n2', OTHER, { verified: 'by-chain' })],
      'unequal n2',
    ],
    ['another, by one that has just begun too', [says('n2', OTHER, pending)], 'doubtful n2'],
    ['two that differ: one is like this', [says('n2', OTHER), says('n3', SAME, pending)], 'equal n3'],
    ['two others, one of them verified', [says('n2', OTHER, pending), says('n3', OTHER)], 'unequal n3'],
    ['the leader before all others', [says('n2', SAME), says('n1', OTHER)], 'unequal n1'],
    ['the leader, which is like this', [says('n2', OTHER), says('n1', SAME)], 'equal n1'],
    ['a leader that has just begun too does not', [says('n1', OTHER, pending), says('n2', SAME)], 'equal n2'],
    [
      'one that can be compared, one that cannot',
      [says('n1', OTHER, { version: 9 }), says('n2', SAME)],
      'equal n2',
    ],
  ])('%s', (_name, answers, wanted) => {
    const comparison = compareDigests(own, answers, 'n1');
    const shown =
      comparison.outcome === 'unknown' ? 'unknown' : `${comparison.outcome} ${comparison.peer.nodeId}`;
    expect(shown).toBe(wanted);
  });

  it('asks nobody in particular when no leader is known', () => {
    expect(compareDigests(own, [says('n1', OTHER), says('n2', SAME)], null)).toMatchObject({
      outcome: 'equal',
    });
  });
});

describe('nextStep', () => {
  const early = NOBODY_ANSWERS_MS - 1;
  const late = NOBODY_ANSWERS_MS;
  it.each<[VerificationState['outcome'], number, 'damaged' | 'not damaged', number, VerificationStep]>([
    ['equal', 0, 'not damaged', 0, 'trust-peer'],
    ['equal', 0, 'damaged', MAX_RELOADS, 'trust-peer'],
    ['unknown', early, 'not damaged', 0, 'ask-again'],
    ['unknown', late, 'not damaged', 0, 'trust-chain'],
    ['unknown', late, 'damaged', 0, 'reload'],
    ['unknown', late, 'damaged', MAX_RELOADS, 'give-up'],
    ['doubtful', early, 'not damaged', 0, 'ask-again'],
    ['doubtful', early, 'damaged', 0, 'reload'],
    ['doubtful', late, 'not damaged', 0, 'reload'],
    ['doubtful', late, 'not damaged', MAX_RELOADS, 'give-up'],
    ['unequal', 0, 'not damaged', 0, 'reload'],
    ['unequal', 0, 'damaged', MAX_RELOADS - 1, 'reload'],
    ['unequal', late, 'damaged', MAX_RELOADS, 'give-up'],
  ])('%s, level for %d ms, %s, after %d reloads: %s', (outcome, levelForMs, damaged, reloads, wanted) => {
    expect(nextStep({ outcome, levelForMs, damaged: damaged === 'damaged', reloads })).toBe(wanted);
  });
});
