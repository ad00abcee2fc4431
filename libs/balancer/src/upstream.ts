import { type Hash, hashOf } from './hash.js';

/** Shares are integers, in thousandths, so that slow start can give a part of one and sums stay exact. */
export const FULL_RAMP = 1_000;

/**
 * A node as strategies see it: one object for as long as the node is known, whatever tier it is in, so that its
 * counts and its place in the rotation outlive its absence.
 */
export class Upstream {
  /** Requests that were sent to it and are not over; long-lived streams are not among them. */
  active = 0;
  /** Its configured share, 1-100. */
  weight = 1;
  /** How much of its share it gets, in thousandths: less than 1,000 only while it starts slowly. */
  ramp = FULL_RAMP;
  /** Where smooth weighted round robin stands, in shares; `withheld` is what a failure took, given back turn by turn. */
  readonly turn = { current: 0, withheld: 0 };
  readonly hash: Hash;

  constructor(readonly id: string) {
    this.hash = hashOf(id);
  }

  /** A request failed there: its next turns go to others (nginx with max_fails = 1). */
  failed(): void {
    this.turn.withheld = this.weight * FULL_RAMP;
  }
}
