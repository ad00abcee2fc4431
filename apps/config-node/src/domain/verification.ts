import type { DigestReply } from '#libs/contracts';

/*
 * Whether the state that a node has loaded is the right one. The chain proves which changes its history consists of,
 * not what the node made of them: a snapshot may have been written from damaged memory. So a node that begins compares
 * the digest of its state with others' before it counts as healthy.
 *
 * Equality is proof whoever says so: damage does not strike two nodes alike. Inequality is proof only against a node
 * whose own state was verified; between two that both have just begun either may be the damaged one, and the database
 * must tell.
 */

/** The digest of this node's state, of algorithm `format`. */
export interface OwnDigest {
  format: number;
  version: number;
  chain: string;
  hash: string;
}

export type Comparison =
  | { outcome: 'equal'; peer: DigestReply }
  /** Another state than that of a verified node, after the same changes. */
  | { outcome: 'unequal'; peer: DigestReply }
  /** Another state than that of a node which is not verified either. */
  | { outcome: 'doubtful'; peer: DigestReply }
  /** Nobody answered for this version and chain, in this format. */
  | { outcome: 'unknown' };

/** What the answers say of this node's state: the verified leader's word counts most, then any that is equal. */
export function compareDigests(
  own: OwnDigest,
  answers: readonly DigestReply[],
  leaderId: string | null,
): Comparison {
  const comparable = answers.filter(
    ({ format, version, chain }) => format === own.format && version === own.version && chain === own.chain,
  );
  const isVerified = ({ verified }: DigestReply) => verified !== 'pending';
  const isEqual = ({ hash }: DigestReply) => hash === own.hash;
  const leader = comparable.find((answer) => answer.nodeId === leaderId && isVerified(answer));
  const peer = leader ?? comparable.find(isEqual) ?? comparable.find(isVerified) ?? comparable[0];
  if (peer === undefined) return { outcome: 'unknown' };
  if (isEqual(peer)) return { outcome: 'equal', peer };
  return { outcome: isVerified(peer) ? 'unequal' : 'doubtful', peer };
}

/**
 * `reload`: the state is given up, or proved right, by the one in the database. `trust-chain`: if head bears it out.
 * `give-up`: no more than to ask again now and then.
 */
export type VerificationStep = 'trust-peer' | 'trust-chain' | 'reload' | 'ask-again' | 'give-up';

/** So long a node that is level waits for somebody to compare with: a whole cluster may be starting. */
export const NOBODY_ANSWERS_MS = 1_500;
/** A state loaded from the database settles the matter, so that more than two loads mean that something else is wrong. */
export const MAX_RELOADS = 3;

export interface VerificationState {
  outcome: Comparison['outcome'];
  /** How long this node has been level with the head. */
  levelForMs: number;
  /** Found unequal, and not replaced since: silence does not make it better. */
  damaged: boolean;
  /** How often the state has been loaded anew already. */
  reloads: number;
}

export function nextStep({ outcome, levelForMs, damaged, reloads }: VerificationState): VerificationStep {
  if (outcome === 'equal') return 'trust-peer';
  const patient = levelForMs < NOBODY_ANSWERS_MS;
  if (outcome === 'unknown' && !damaged) return patient ? 'ask-again' : 'trust-chain';
  if (outcome === 'doubtful' && !damaged && patient) return 'ask-again';
  return reloads < MAX_RELOADS ? 'reload' : 'give-up';
}
