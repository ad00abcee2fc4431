import { ERRORS, type ErrorCode } from '#libs/contracts';

/**
 * What a node's answer to a write says about the write.
 *
 * `done`       it took effect
 * `refused`    it did not and will not, for a reason that lies in the request or in the present state
 * `not-leader` the node does not lead (the term aimed at): nothing happened, ask the leader
 * `not-now`    nobody takes writes at this moment: nothing happened, wait
 * `busy`       the leader has no room: nothing happened
 * `no-storage` the leader has no database: this attempt was never sent to it
 * `unknown`    the leader itself does not know
 * `broken`     something failed there that nobody foresaw; it may have taken effect
 * `garbled`    not an answer of ours; it may have taken effect
 */
export type WriteAnswer =
  | 'done'
  | 'refused'
  | 'not-leader'
  | 'not-now'
  | 'busy'
  | 'no-storage'
  | 'unknown'
  | 'broken'
  | 'garbled';

const BY_CODE: Partial<Record<ErrorCode, WriteAnswer>> = {
  'not-leader': 'not-leader',
  'no-leader': 'not-now',
  'shutting-down': 'not-now',
  'no-available-node': 'not-now',
  'cluster-busy': 'busy',
  'storage-unavailable': 'no-storage',
  'outcome-unknown': 'unknown',
};

/** `code` is that of the problem in the body; undefined when the body is no problem. */
export function readWriteAnswer(status: number, code: ErrorCode | undefined): WriteAnswer {
  if (status >= 200 && status < 300) return 'done';
  if (code === undefined) return 'garbled';
  return BY_CODE[code] ?? (ERRORS[code].retry === 'never' ? 'refused' : 'broken');
}
