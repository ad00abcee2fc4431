import type { NodeVerdict, VerdictReason } from '#libs/contracts';
import type { Assessment, DetectorTimings } from './evidence.js';

export type GivenVerdict = Pick<NodeVerdict, 'nodeId' | 'incarnation' | 'verdict' | 'reason' | 'seq'>;

export type DetectorInput =
  | { type: 'tick'; nowMs: number }
  | { type: 'known'; nodeId: string; incarnation: number; nowMs: number }
  | { type: 'forget'; nodeId: string }
  | {
      type: 'heartbeat';
      nodeId: string;
      incarnation: number;
      fenceConfirmedAgoMs: number | undefined;
      nowMs: number;
    }
  | {
      type: 'ping-answered';
      nodeId: string;
      incarnation: number;
      fenceConfirmedAgoMs: number | undefined;
      nowMs: number;
    }
  | { type: 'ping-missed'; nodeId: string; sentMs: number; nowMs: number }
  | {
      type: 'connection-opened' | 'connection-closed' | 'dial-refused' | 'dial-accepted';
      nodeId: string;
      nowMs: number;
    }
  /** It has another address: what the connections to the old one told counts no more. */
  | { type: 'moved'; nodeId: string; nowMs: number }
  | { type: 'bus'; connected: boolean; nowMs: number }
  | { type: 'own-write'; ok: boolean; tookMs?: number; nowMs: number }
  /** Once for every term: also when it is the same incarnation as in the term before. */
  | { type: 'leader'; leader: { nodeId: string; incarnation: number } | undefined; nowMs: number }
  /** Given by us after the others were asked, or heard from another witness. */
  | {
      type: 'verdict';
      verdict: GivenVerdict;
      nowMs: number;
    }
  /** The others did not confirm it; `alone`: there was nobody who could, and this witness may not judge by itself. */
  | { type: 'not-confirmed'; nodeId: string; reason: VerdictReason; alone: boolean; nowMs: number };

export type DetectorOutput =
  /** A leader's connection broke and a new one was refused: candidates may be asked while the rest is found out. */
  | { type: 'alarm'; nodeId: string; incarnation: number }
  | ({ type: 'suspect'; nodeId: string; incarnation: number; massSilence: boolean } & Assessment)
  /** The head names an incarnation of the leader that is gone for certain: a newer one has spoken. */
  | { type: 'leader-restarted'; nodeId: string; incarnation: number; newIncarnation: number }
  | { type: 'clear'; nodeId: string; incarnation: number };

export interface DetectorSettings extends DetectorTimings {
  tickEveryMs: number;
  /** A tick later than this is a pause of our own. */
  ownPauseMs: number;
  /** How long a fresh round of evidence takes: one ping and its time-out. */
  freshRoundMs: number;
  /** Answers in a row that withdraw a verdict. */
  clearAfterPings: number;
  /** How long to wait before asking again about a suspicion that was not confirmed; doubles up to eight times. */
  askAgainMs: number;
  /** An own write that takes longer than this is a stall of the database: a leader cannot do better. */
  slowWriteMs: number;
}
