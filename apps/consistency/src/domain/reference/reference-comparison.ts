import type { ConsistencyReason } from '#libs/contracts';
import type { StateDigest } from '#libs/replica';
import { differing } from '../comparison/bucket-digests.js';
import type { Pin } from '../comparison/pin.js';
import { compareRoots, type RootAnswer } from '../comparison/root-comparison.js';
import type { NodeOutcome } from '../comparison/round.js';
import { NO_SUSPICION, type SuspectBuckets } from '../comparison/suspicion.js';

/*
 * Nodes that are all wrong in the same way agree with each other. So now and then they are compared with a digest of
 * `config.entries` itself, at the version of one snapshot of it. Which side of a difference is wrong that does not say:
 * the row may be. What differs is suspected, and a round looks into it, by the log.
 */

/** What a node holds by its own word, at the version of the snapshot. */
export interface HeldByNode {
  root: RootAnswer;
  /** Undefined: not to be had. */
  cuts: Buffer | undefined;
}

export interface ReferenceComparison {
  /** Of these the digest is that of the database. */
  match: string[];
  unknown: Map<string, ConsistencyReason>;
  /** The buckets that differ. */
  suspects: Map<string, readonly number[]>;
}

export function compareWithReference(
  pin: Pin,
  format: number,
  truth: StateDigest,
  nodes: ReadonlyMap<string, HeldByNode>,
): ReferenceComparison {
  const answers = new Map([...nodes].map(([nodeId, { root }]) => [nodeId, root]));
  const { unknown, groups } = compareRoots(pin, format, answers);
  const comparison: ReferenceComparison = { match: [], unknown, suspects: new Map() };
  const right = truth.cutBuckets();
  for (const { hash, nodeIds } of groups) {
    for (const nodeId of nodeIds) {
      const cuts = nodes.get(nodeId)?.cuts;
      const buckets = cuts === undefined ? [] : differing([right, cuts]);
      if (hash === truth.root) comparison.match.push(nodeId);
      else if (buckets.length > 0) comparison.suspects.set(nodeId, buckets);
      else unknown.set(nodeId, 'undecided');
    }
  }
  comparison.match.sort();
  return comparison;
}

/** Those that a round found right by the log are suspected no more: then it is the row that is wrong. */
export function stillSuspected(suspicion: SuspectBuckets, outcomes: readonly NodeOutcome[]): SuspectBuckets {
  const right = new Set(outcomes.filter(isFoundRight).map(({ nodeId }) => nodeId));
  const buckets = new Map([...suspicion.buckets].filter(([nodeId]) => !right.has(nodeId)));
  return buckets.size === 0 ? NO_SUSPICION : { buckets, keys: suspicion.keys };
}

function isFoundRight({ result, reason }: NodeOutcome): boolean {
  return result === 'match' || reason === 'alone';
}
