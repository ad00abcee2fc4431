import type {
  HoldRow,
  ObservedNode,
  RecoveryInput,
  RecoveryRow,
  VerdictRow,
} from './recovery/recovery.types.js';

/** What the fleet as a whole allows to be done to one of its nodes. */
export type RestartLeave =
  | 'granted'
  /** The cause is elsewhere: restarting nodes would only add to it. */
  | 'most-are-unwell'
  | 'enough-in-recovery';

/**
 * All nodes with what is known and planned of them. Answers the questions that no node can answer for itself: whether
 * a restart, a quarantine or a drain is bearable for the rest.
 */
export class DisruptionBudget {
  private readonly recoveries: Map<string, RecoveryRow>;
  private readonly holds: Map<string, HoldRow>;

  constructor(private readonly standing: RecoveryInput) {
    this.recoveries = new Map(standing.recoveries);
    this.holds = new Map(standing.holds);
  }

  get nowMs(): number {
    return this.standing.nowMs;
  }

  get witnesses(): number {
    return this.standing.witnesses;
  }

  recovery(nodeId: string): RecoveryRow | undefined {
    return this.recoveries.get(nodeId);
  }

  hold(nodeId: string): HoldRow | undefined {
    return this.holds.get(nodeId);
  }

  verdict(nodeId: string): VerdictRow | undefined {
    return this.standing.verdicts.get(nodeId);
  }

  /** What was just planned counts for what is planned next. */
  put(row: RecoveryRow): void {
    this.recoveries.set(row.nodeId, row);
  }

  putHold(row: HoldRow): void {
    this.holds.set(row.nodeId, row);
  }

  isJudgedFailed(node: ObservedNode): boolean {
    const verdict = this.verdict(node.nodeId);
    return verdict?.failed === true && verdict.incarnation >= node.incarnation;
  }

  /** More than half are judged failed at once: none of them is to blame. */
  get isMassFailure(): boolean {
    return this.isMost((node) => this.isJudgedFailed(node));
  }

  mayRestart(nodeId: string): RestartLeave {
    if (this.isMost((node) => !node.answers || this.isJudgedFailed(node))) return 'most-are-unwell';
    const others = this.standing.nodes.filter((node) => node.nodeId !== nodeId);
    const inRecovery = others.filter((node) => isBeingBroughtBack(this.recovery(node.nodeId)));
    return inRecovery.length < this.third ? 'granted' : 'enough-in-recovery';
  }

  /** Never so many that a common cause would empty the fleet, and never the last that could lead. */
  mayQuarantine(node: ObservedNode): boolean {
    const others = this.standing.nodes.filter(({ nodeId }) => nodeId !== node.nodeId);
    const quarantined = others.filter((other) => isQuarantined(this.hold(other.nodeId), this.nowMs));
    return quarantined.length < this.third && (!node.voter || this.othersThatMayLead(node.nodeId) > 0);
  }

  /** Voters besides this one that are well and not kept out. */
  othersThatMayLead(nodeId: string): number {
    return this.standing.nodes.filter(
      (node) =>
        node.nodeId !== nodeId &&
        node.voter &&
        node.answers &&
        !node.announcedStop &&
        !this.isJudgedFailed(node) &&
        !isHeld(this.hold(node.nodeId), this.nowMs),
    ).length;
  }

  /** At most a third of the nodes, but one in any case. */
  private get third(): number {
    return Math.max(1, Math.floor(this.standing.nodes.length / 3));
  }

  /** One alone proves no common cause. */
  private isMost(which: (node: ObservedNode) => boolean): boolean {
    const count = this.standing.nodes.filter(which).length;
    return count > 1 && count * 2 > this.standing.nodes.length;
  }
}

export function isQuarantined(hold: HoldRow | undefined, nowMs: number): boolean {
  return hold !== undefined && hold.quarantinedUntilMs !== null && hold.quarantinedUntilMs > nowMs;
}

/** Kept out of the rotation and of elections. */
export function isHeld(hold: HoldRow | undefined, nowMs: number): boolean {
  return hold !== undefined && (hold.drained || isQuarantined(hold, nowMs));
}

export function isUnderWay(row: RecoveryRow | undefined): row is RecoveryRow {
  return row !== undefined && (row.state === 'waiting' || isBeingBroughtBack(row));
}

function isBeingBroughtBack(row: RecoveryRow | undefined): boolean {
  return row?.state === 'restarting' || row?.state === 'verifying' || row?.state === 'catching-up';
}
