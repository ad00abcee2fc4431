import type { ConsistencyReason } from '#libs/contracts';
import type { Pin } from './pin.js';

/** What one node said of its whole state at the pinned version, or why it said nothing. */
export type RootAnswer =
  | { known: true; format: number; version: number; chain: string; hash: string; damagedBuckets: number[] }
  | { known: false; reason: ConsistencyReason };

/** Nodes that hold the same, by their own word. */
export interface Group {
  hash: string;
  nodeIds: string[];
}

export interface RootComparison {
  /** Of these nothing can be said. */
  unknown: Map<string, ConsistencyReason>;
  /** The largest first; one group: all that could be compared hold the same. */
  groups: Group[];
  /** Buckets that nodes themselves found altered in their memory: their digests do not show that. */
  damaged: Map<string, readonly number[]>;
}

/**
 * Digests can be compared at one version, of one history, by one algorithm; whatever else a node answers says nothing
 * about it, and is never taken for agreement. Which side of a difference is wrong is not decided here, and not by number.
 */
export function compareRoots(
  pin: Pin,
  format: number,
  answers: ReadonlyMap<string, RootAnswer>,
): RootComparison {
  const comparison: RootComparison = { unknown: new Map(), groups: [], damaged: new Map() };
  for (const [nodeId, answer] of [...answers].sort(byName)) {
    const reason = reasonAgainst(pin, format, answer);
    if (reason !== undefined || !answer.known) {
      comparison.unknown.set(nodeId, reason ?? 'refused');
      continue;
    }
    const group = comparison.groups.find(({ hash }) => hash === answer.hash);
    if (group) group.nodeIds.push(nodeId);
    else comparison.groups.push({ hash: answer.hash, nodeIds: [nodeId] });
    if (answer.damagedBuckets.length > 0) comparison.damaged.set(nodeId, answer.damagedBuckets);
  }
  comparison.groups.sort((a, b) => b.nodeIds.length - a.nodeIds.length || (a.hash < b.hash ? -1 : 1));
  return comparison;
}

function reasonAgainst(pin: Pin, format: number, answer: RootAnswer): ConsistencyReason | undefined {
  if (!answer.known) return answer.reason;
  if (answer.format !== format) return 'other-format';
  if (answer.version !== pin.version) return 'refused';
  return answer.chain === pin.chain ? undefined : 'other-chain';
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}
