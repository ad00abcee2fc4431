import type { Problem } from '#libs/contracts';

/**
 * Whether a node answered that the gateway's own proof is wrong: the node belongs to another cluster, or one of the
 * clocks is wrong. Nothing was done, and it says nothing about the request of the client.
 */
export function refusesProof(problem: Problem | undefined): boolean {
  return problem?.code === 'forbidden' && typeof problem.members.reason === 'string';
}
