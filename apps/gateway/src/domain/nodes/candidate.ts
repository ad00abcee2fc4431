import { Upstream } from '#libs/balancer';
import { NODE_RANKS, type Standing } from './node-rank.js';

/** A node as the gateway asks it: the same object for as long as the node is known. */
export class Candidate extends Upstream {
  /** As it was when the order of nodes was last made. */
  standing: Standing = 'unknown';
  /** Requests sent there, by the node's standing when it was chosen. */
  readonly requests: Record<Standing, number>;
  /** The version that it said last to have applied: a hint, it may have had to take some back since. */
  version = 0;
  /** Logs that are followed there. */
  follows = 0;
  /** Until then its database is taken to be away, as it said. */
  storageAwayUntilMs = Number.NEGATIVE_INFINITY;
  /** Since when it has been fit to be asked first; null while it is not. */
  usableSinceMs: number | null = null;
  /** It was found good by an active check, or began anew: what it did before counts no more. */
  confirmedHealthy = false;

  constructor(
    id: string,
    public address: string,
  ) {
    super(id);
    this.requests = Object.fromEntries(NODE_RANKS.map((standing) => [standing, 0])) as Record<
      Standing,
      number
    >;
  }
}

const WEIGHT = /^(?:[1-9]\d?|100)$/;

/** The share that a node's metadata asks for; `fault` is what cannot be one, and then the share is 1. */
export function weightIn(metadata: Readonly<Record<string, string>>): {
  weight: number;
  fault: string | null;
} {
  const { weight } = metadata;
  if (weight === undefined) return { weight: 1, fault: null };
  return WEIGHT.test(weight) ? { weight: Number(weight), fault: null } : { weight: 1, fault: weight };
}
