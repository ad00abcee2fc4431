import type { Difference } from '#libs/contracts';
import { nameOf } from './comparison/pin.js';

/** What was found out about a node, or a group of equal ones. */
export class NodeFindings {
  readonly differences: Difference[] = [];
  undecided = false;
  more = 0;
  readonly keys = { listed: 0, buckets: 0 };
}

export function findingsIn(map: Map<string, NodeFindings>, nodeId: string): NodeFindings {
  const findings = map.get(nodeId) ?? new NodeFindings();
  map.set(nodeId, findings);
  return findings;
}

/** A node that stands for its group and is damaged as well was asked once, but is found by both ways. */
export function distinct(differences: readonly Difference[]): Difference[] {
  return [...new Map(differences.map((each) => [`${each.class}\0${nameOf(each)}`, each])).values()];
}
