import type { WriteAnswer } from './write-answer.js';

/** Where writes go: the leader of a term. */
export interface LeaderTarget {
  term: number;
  address: string;
}

export type ParkingInput =
  /** `ownKey`: the gateway made the idempotency key, so nobody can have used it before. */
  | { type: 'arrived'; id: number; sizeBytes: number; ownKey: boolean; nowMs: number }
  | { type: 'answered'; id: number; answer: WriteAnswer; nowMs: number }
  /** The attempt failed without an answer; `sent` unless not one byte of it can have left. */
  | { type: 'broke'; id: number; sent: boolean; nowMs: number }
  | { type: 'left'; id: number; nowMs: number }
  /** The leader as it is known now, also when it was heard again; null = nobody is known to lead. */
  | { type: 'target'; target: LeaderTarget | null; nowMs: number }
  | { type: 'tick'; nowMs: number };

export type ParkingAction =
  /** `fresh`: no attempt with this key can have reached the database. */
  | { do: 'send'; id: number; target: LeaderTarget; fresh: boolean }
  /** Send it once through some other node, which forwards it to the leader. */
  | { do: 'forward'; id: number; term: number; fresh: boolean }
  /** Break the attempt under way; nothing more of it is to be reported. */
  | { do: 'abort'; id: number }
  /** Give the client the answer that was just reported. */
  | { do: 'pass'; id: number }
  | { do: 'refuse'; id: number; code: RefusalCode; why: string };

export type RefusalCode = 'no-leader' | 'cluster-busy' | 'outcome-unknown';

export interface ParkingLimits {
  parkedMs: number;
  parkedWrites: number;
  parkedBytes: number;
  heldWrites: number;
  heldBytes: number;
  /** An attempt without an answer for so long is given up. */
  attemptMs: number;
  /** After a new leader is known, an answer of the old one is still awaited for so long. */
  abandonAfterMs: number;
  /** A leader that cannot be connected to for so long is asked through another node. */
  forwardAfterMs: number;
}

export const PARKING_LIMITS: ParkingLimits = {
  parkedMs: 5_000,
  parkedWrites: 1_000,
  parkedBytes: 64 * 1024 * 1024,
  heldWrites: 4_096,
  heldBytes: 256 * 1024 * 1024,
  attemptMs: 8_000,
  abandonAfterMs: 100,
  forwardAfterMs: 300,
};
