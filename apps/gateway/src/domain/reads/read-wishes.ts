import type { Candidate } from '../nodes/candidate.js';
import type { Wish } from '../nodes/load-balancer.js';
import type { ReadDemand } from './read-demand.js';

/** A version so far beyond the head is none that the leader is about to have. */
const PLAUSIBLE_VERSIONS = 100_000;

export interface ReadFacts {
  leader: Candidate | undefined;
  /** The end of the log, as far as this gateway knows. */
  headVersion: number;
  /** What the answer must have for a client to see its own write; 0 = nothing is known to have been written. */
  ownVersion: number;
  /** First of its connection, and one of those that may go to the leader. */
  first: boolean;
  /** The version that a node is known to have applied. */
  versionOf: (candidate: Candidate) => number;
}

/** Which of the nodes that are equally fit a read is to go to; what cannot be had is left out. In this order. */
export function wishesOf(demand: ReadDemand, facts: ReadFacts): Wish[] {
  const { leader, headVersion, ownVersion, first, versionOf } = facts;
  const version = Math.max(demand.minVersion, ownVersion);
  const isLeader: Wish = (candidate) => candidate === leader;
  const wishes: Wish[] = [];
  if (version > 0) wishes.push((candidate) => versionOf(candidate) >= version);
  if (demand.heavy) wishes.push((candidate) => candidate !== leader);
  else if (version > headVersion && version - headVersion <= PLAUSIBLE_VERSIONS) wishes.push(isLeader);
  else if (first) wishes.push(isLeader);
  return wishes;
}
