import type { RecoveryState } from '#libs/contracts';
import type { Rng } from '#libs/kernel';
import { charge, type FlapScore, isForgotten, NO_FLAPS, quarantineMs } from '../detection/flap-score.js';
import { DisruptionBudget, isQuarantined, isUnderWay } from '../disruption-budget.js';
import type {
  HoldRow,
  ObservedNode,
  RecoveryInput,
  RecoveryPlan,
  RecoveryRow,
  RecoverySettings,
  VerdictRow,
} from './recovery.types.js';
import { type Move, nextMove, tryAgain, verifying } from './recovery-step.js';

/**
 * What to do about all nodes at one moment: pure, from rows that every instance reads alike and from what this one
 * sees. Any number of instances may plan at once; a plan is carried out only when nobody else's was since the rows
 * were read, so no node is brought back twice, and the limits hold over all of them.
 */
export function planRecovery(standing: RecoveryInput, settings: RecoverySettings, rng: Rng): RecoveryPlan {
  const draft = new PlanDraft(standing, settings);
  for (const node of standing.nodes) {
    draft.endQuarantine(node);
    draft.takeNote(node);
    const row = draft.fleet.recovery(node.nodeId);
    const move = row && nextMove(node, row, draft.fleet, settings, rng);
    if (row && move) draft.move(node, row, move);
  }
  return draft.plan;
}

/** What came of a restart that this instance's driver was asked for. */
export function planAfterRestart(
  standing: RecoveryInput,
  nodeId: string,
  seq: number,
  done: boolean,
  settings: RecoverySettings,
  rng: Rng,
): RecoveryPlan {
  const draft = new PlanDraft(standing, settings);
  const row = draft.fleet.recovery(nodeId);
  const node = standing.nodes.find((seen) => seen.nodeId === nodeId);
  // The world went on without us: whoever moved it knows better.
  if (!row || !node || row.seq !== seq || row.state !== 'restarting') return draft.plan;
  draft.move(
    node,
    row,
    done ? verifying('restarted', settings) : tryAgain(row, 'not-restarted', settings, rng),
  );
  return draft.plan;
}

/** Collects a plan; whatever is put into it counts for what comes after. */
export class PlanDraft {
  readonly fleet: DisruptionBudget;
  readonly plan: RecoveryPlan = { steps: [], notes: [], holds: [], alerts: [], restarts: [] };

  constructor(
    standing: RecoveryInput,
    private readonly settings: RecoverySettings,
  ) {
    this.fleet = new DisruptionBudget(standing);
  }

  endQuarantine({ nodeId }: ObservedNode): void {
    const hold = this.fleet.hold(nodeId);
    if (!hold || hold.quarantinedUntilMs === null || isQuarantined(hold, this.fleet.nowMs)) return;
    this.keepOut({ ...hold, quarantinedUntilMs: null, why: 'the quarantine ended' });
  }

  /** A failure that nobody has taken note of: it is charged, and the node's recovery begins, or begins again. */
  takeNote(node: ObservedNode): void {
    const { fleet } = this;
    const verdict = fleet.verdict(node.nodeId);
    const row = fleet.recovery(node.nodeId);
    if (!verdict?.failed || verdict.seq <= (row?.verdictSeq ?? 0)) return;
    if (isExpected(node, row, verdict) || isKnown(row, verdict)) {
      this.note({ ...(row ?? this.fresh(node, verdict.seq)), verdictSeq: verdict.seq });
      return;
    }
    const before = row?.flaps ?? NO_FLAPS;
    const flaps = this.isItsOwnFault(verdict)
      ? charge(before, fleet.nowMs, wellForMs(row, fleet.nowMs), this.settings.flaps)
      : before;
    const { incarnation, seq: verdictSeq } = verdict;
    const noted = { ...(row ?? this.fresh(node, verdictSeq)), flaps, verdictSeq, incarnation };
    if (flaps !== before && this.quarantine(node, noted, before)) return;
    const again = isUnderWay(row);
    const why = verdict.reason === 'unresponsive' ? 'unresponsive' : 'process-down';
    this.move(
      node,
      {
        ...noted,
        planned: false,
        beganAtMs: again ? noted.beganAtMs : fleet.nowMs,
        attempt: again ? noted.attempt : 0,
      },
      { state: 'waiting', why, lastsMs: this.settings.selfRestartMs },
    );
  }

  move(node: ObservedNode, row: RecoveryRow, move: Move): void {
    const { instanceId: by } = this.settings;
    const { state, why, lastsMs, attempt = row.attempt } = move;
    const { nowMs } = this.fleet;
    const beganAtMs = row.state === 'quarantined' ? nowMs : row.beganAtMs;
    const dueAtMs = nowMs + lastsMs;
    const step = { ...row, seq: row.seq + 1, state, why, attempt, by, beganAtMs, dueAtMs };
    this.plan.steps.push(step);
    this.fleet.put(step);
    const { nodeId, answers, incarnation } = node;
    if (state === 'restarting') this.plan.restarts.push({ nodeId, incarnation, answers });
    if (state === 'timed-out') {
      const summary = `${nodeId} did not come back: ${why}, after ${attempt} restarts`;
      this.plan.alerts.push({ name: 'RecoveryTimeout', nodeId, seq: step.seq, summary });
    }
  }

  keepOut(hold: HoldRow): HoldRow {
    const next = { ...hold, seq: hold.seq + 1, by: this.settings.instanceId, atMs: this.fleet.nowMs };
    this.plan.holds.push(next);
    this.fleet.putHold(next);
    return next;
  }

  /** True when the node is in quarantine with this failure, since now or since before. */
  private quarantine(node: ObservedNode, row: RecoveryRow, before: FlapScore): boolean {
    const { fleet, settings } = this;
    const { nowMs } = fleet;
    const hold = fleet.hold(node.nodeId) ?? noHold(node.nodeId);
    const already = isQuarantined(hold, nowMs);
    const { suppressAt } = settings.flaps;
    const unsteady = suppressAt > 0 && row.flaps.value >= suppressAt;
    if (!already && !(unsteady && fleet.mayQuarantine(node))) return false;
    const quarantines = already
      ? hold.quarantines
      : 1 + (isForgotten(before, nowMs, settings.flaps) ? 0 : hold.quarantines);
    const lastsMs = quarantineMs(row.flaps, quarantines, settings.flaps);
    const quarantinedUntilMs = Math.max(hold.quarantinedUntilMs ?? 0, nowMs + lastsMs);
    this.keepOut({ ...hold, quarantines, quarantinedUntilMs, why: 'it failed again and again' });
    if (already && row.state === 'quarantined') {
      this.note(row);
      return true;
    }
    this.move(node, { ...row, planned: false }, { state: 'quarantined', why: 'flapping', lastsMs });
    if (already) return true;
    const { nodeId } = node;
    const summary = `${nodeId} failed again and again: out of the rotation for ${Math.round(lastsMs / 1_000)} s`;
    this.plan.alerts.push({ name: 'NodeQuarantined', nodeId, seq: row.seq + 1, summary });
    return true;
  }

  /** One witness may itself be what is cut off; and what befalls most nodes at once is the fault of none. */
  private isItsOwnFault(verdict: VerdictRow): boolean {
    return (verdict.confirmed || this.fleet.witnesses <= 1) && !this.fleet.isMassFailure;
  }

  /** Written, but nothing to tell. */
  note(row: RecoveryRow): void {
    this.plan.notes.push(row);
    this.fleet.put(row);
  }

  /** Of a node that nothing has been written of. */
  fresh({ nodeId, incarnation }: ObservedNode, verdictSeq: number): RecoveryRow {
    const { nowMs } = this.fleet;
    return {
      nodeId,
      seq: 0,
      state: 'healthy',
      incarnation,
      verdictSeq,
      attempt: 0,
      planned: false,
      why: 'stopped-on-purpose',
      by: this.settings.instanceId,
      beganAtMs: nowMs,
      dueAtMs: nowMs,
      flaps: NO_FLAPS,
    };
  }
}

/** A node whose recovery is over has been well since then. */
function wellForMs(row: RecoveryRow | undefined, nowMs: number): number {
  if (row === undefined || row.seq === 0) return Number.POSITIVE_INFINITY;
  return row.state === 'healthy' ? nowMs - row.dueAtMs : 0;
}

export function noHold(nodeId: string): HoldRow {
  return {
    nodeId,
    seq: 0,
    drained: false,
    quarantinedUntilMs: null,
    quarantines: 0,
    by: '',
    why: '',
    atMs: 0,
  };
}

/** Witnesses may call one failure by two names, one after the other: it is still one. */
function isKnown(row: RecoveryRow | undefined, verdict: VerdictRow): boolean {
  if (!row || row.seq === 0 || row.incarnation !== verdict.incarnation) return false;
  return STILL_GONE.includes(row.state);
}

const STILL_GONE: readonly RecoveryState[] = [
  'waiting',
  'restarting',
  'verifying',
  'timed-out',
  'quarantined',
];

/** A process that was told to end ends: no failure, and nobody's to undo. */
function isExpected(node: ObservedNode, row: RecoveryRow | undefined, verdict: VerdictRow): boolean {
  if (verdict.announced || (node.announcedStop && node.incarnation === verdict.incarnation)) return true;
  return isUnderWay(row) && row.planned && verdict.incarnation <= row.incarnation;
}
