import {
  type CheckedState,
  type HealthChanged,
  type Probed,
  type ProbeResult,
  UNANSWERED,
} from '#libs/contracts';
import type { Finding } from './finding.js';
import { count, NOTHING_COUNTED, type ProbeCount, phaseOf, type Thresholds } from './probe-count.js';

export interface CheckSettings extends Thresholds {
  observer: string;
  recentKept: number;
  transitionsKept: number;
}

/** The state of a node's checks has moved, or fails for another kind of reason than before. */
export interface CheckMove {
  nodeId: string;
  incarnation: number;
  seq: number;
  from: CheckedState;
  to: CheckedState;
  reason: ProbeResult | null;
  observer: string;
  evidence: Record<string, unknown>;
  at: string;
}

/**
 * What the probes of one node have found. It begins with nothing: neither what another instance saw before, nor what
 * was found of an earlier incarnation, is this instance's own observation of this one.
 */
export class NodeCheck {
  private counted: ProbeCount = NOTHING_COUNTED;
  private incarnation = 0;
  private seq = 0;
  private reason: ProbeResult | null = null;
  /** Failures in a row of the other kind than the one announced. */
  private otherKind = 0;
  private readonly results: Probed[] = [];
  private readonly moves: CheckMove[] = [];

  constructor(
    readonly nodeId: string,
    private readonly settings: CheckSettings,
  ) {}

  get phase(): 'up' | 'down' | 'moving' {
    return phaseOf(this.counted, this.settings);
  }

  get state(): CheckedState {
    return this.counted.state;
  }

  /** The change that stands on this incarnation; undefined while nothing is known, or whom it would be about. */
  get standing(): CheckMove | undefined {
    const last = this.moves[0];
    return last && last.incarnation === this.incarnation && this.incarnation > 0 ? last : undefined;
  }

  /** A new incarnation begins anew. */
  isNow(incarnation: number): void {
    if (incarnation <= this.incarnation) return;
    this.incarnation = incarnation;
    this.counted = NOTHING_COUNTED;
    this.reason = null;
    this.otherKind = 0;
  }

  /** Others have used this number already, for this node. */
  noteSeq(seq: number): void {
    this.seq = Math.max(this.seq, seq);
  }

  probed(finding: Finding, took: { ms: number; at: string; wallMs: number }): CheckMove | undefined {
    const { result, incarnation } = finding;
    if (incarnation !== undefined && incarnation < this.incarnation) return undefined; // of a process that is gone
    if (incarnation !== undefined) this.isNow(incarnation);
    this.remember(finding, took);
    if (result === 'busy') return undefined;
    const before = this.counted;
    this.counted = count(before, result === 'ok' ? 'pass' : 'fail', this.settings);
    const { state } = this.counted;
    if (state === before.state && !this.failsOtherwise(result)) return undefined;
    this.otherKind = 0;
    this.reason = state === 'up' || result === 'ok' ? null : result;
    return this.move(before.state, finding, took);
  }

  /** Says again what stands, with a number above those that were heard meanwhile. */
  repeat(took: { at: string; wallMs: number }): CheckMove | undefined {
    const last = this.standing;
    if (!last) return undefined;
    this.seq = Math.max(this.seq + 1, took.wallMs);
    const move = { ...last, from: last.to, seq: this.seq, at: took.at };
    this.keep(move);
    return move;
  }

  report(): {
    incarnation: number;
    state: CheckedState;
    reason: ProbeResult | null;
    counted: ProbeCount;
    seq: number;
    recent: Probed[];
    transitions: CheckMove[];
  } {
    const { incarnation, reason, counted, seq } = this;
    return {
      incarnation,
      state: counted.state,
      reason,
      counted,
      seq,
      recent: [...this.results],
      transitions: [...this.moves],
    };
  }

  /** Down, and by now for the other kind of reason: it answers, or it does not. One stray result is no news. */
  private failsOtherwise(result: ProbeResult): boolean {
    if (this.counted.state !== 'down' || this.reason === null || result === 'ok') return false;
    const other = UNANSWERED.includes(result) !== UNANSWERED.includes(this.reason);
    this.otherKind = other ? this.otherKind + 1 : 0;
    return this.otherKind >= this.settings.fall;
  }

  private move(from: CheckedState, finding: Finding, took: { at: string; wallMs: number }): CheckMove {
    const { consecutive, state } = this.counted;
    this.seq = Math.max(this.seq + 1, took.wallMs);
    const move: CheckMove = {
      nodeId: this.nodeId,
      incarnation: this.incarnation,
      seq: this.seq,
      from,
      to: state,
      reason: this.reason,
      observer: this.settings.observer,
      evidence: {
        consecutive: consecutive.count,
        results: this.results.slice(0, consecutive.count).map(({ result }) => result),
        ...(finding.failed ? { failed: finding.failed } : {}),
      },
      at: took.at,
    };
    this.keep(move);
    return move;
  }

  private remember({ result, failed }: Finding, took: { ms: number; at: string }): void {
    const ms = Math.round(took.ms * 10) / 10;
    this.results.unshift({ at: took.at, result, ms, ...(failed ? { failed } : {}) });
    if (this.results.length > this.settings.recentKept) this.results.pop();
  }

  private keep(move: CheckMove): void {
    this.moves.unshift(move);
    if (this.moves.length > this.settings.transitionsKept) this.moves.pop();
  }
}

/** As it is told to others; undefined when it says neither up nor down, or of whom is not known. */
export function changeOf(move: CheckMove): HealthChanged | undefined {
  const { from: _from, to, ...rest } = move;
  if (to === 'unknown' || move.incarnation === 0) return undefined;
  return { ...rest, health: to };
}
