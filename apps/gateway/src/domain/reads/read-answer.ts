import type { ErrorCode } from '#libs/contracts';

/**
 * What the answer to a read says of the node that gave it.
 *
 * `good`         it does its work, and if the client does not like the answer it is not the node's fault
 * `elsewhere`    nothing is wrong with the node, but it cannot answer this; another may
 * `stopping`     it is leaving
 * `failing`      something is wrong there
 * `foreign`      it refuses this gateway: it belongs to another cluster, or one of the clocks is wrong
 * `indifferent`  it says nothing of the node: no node could have answered this now
 */
export type ReadVerdict = 'good' | 'elsewhere' | 'stopping' | 'failing' | 'foreign' | 'indifferent';

/** `code` is that of the problem in the body, which is read for a 503 only. */
export function readVerdict(status: number, code: ErrorCode | undefined): ReadVerdict {
  if (status < 500) return 'good';
  if (status === 504) return 'indifferent'; // a version in the future takes time, on every node
  if (status !== 503 || code === undefined) return 'failing';
  if (code === 'shutting-down') return 'stopping';
  return code === 'storage-unavailable' ? 'elsewhere' : 'indifferent';
}
