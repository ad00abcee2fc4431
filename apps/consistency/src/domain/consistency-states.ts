import type { ConsistencyReason, ConsistencyResult } from '#libs/contracts';
import type { NodeOutcome } from './comparison/round.js';

/** What the checks say of one node, since when. */
export interface NodeConsistencyState {
  result: ConsistencyResult;
  reason: ConsistencyReason | null;
  sinceMs: number;
  /** That it stays unknown was told already. */
  warned: boolean;
}

export type ConsistencyTransition =
  | { type: 'changed'; outcome: NodeOutcome; from: ConsistencyResult | null }
  /** An alert: it has been unknown for too long. */
  | { type: 'stays-unknown'; nodeId: string; reason: ConsistencyReason; forMs: number };

/**
 * Results of nodes, round after round: only changes are news. Times are of this process's own clock. A node that is the
 * only one cannot be compared with anybody, and nobody needs to be told so again and again.
 */
export class ConsistencyStates {
  private readonly nodes = new Map<string, NodeConsistencyState>();

  constructor(private readonly unknownAlertMs: number) {}

  /** What earlier rounds, or another instance, found. */
  recall(nodeId: string, standing: NodeConsistencyState): void {
    if (!this.nodes.has(nodeId)) this.nodes.set(nodeId, standing);
  }

  get(nodeId: string): NodeConsistencyState | undefined {
    return this.nodes.get(nodeId);
  }

  forget(nodeId: string): void {
    this.nodes.delete(nodeId);
  }

  apply(outcomes: readonly NodeOutcome[], nowMs: number): ConsistencyTransition[] {
    return outcomes.flatMap((outcome) => [...this.changed(outcome, nowMs), ...this.overdue(outcome, nowMs)]);
  }

  /** By what was found of them in the last round. */
  counts(): Record<ConsistencyResult, number> {
    const counts = { match: 0, mismatch: 0, unknown: 0 };
    for (const { result } of this.nodes.values()) counts[result]++;
    return counts;
  }

  private changed(outcome: NodeOutcome, nowMs: number): ConsistencyTransition[] {
    const { nodeId, result, reason } = outcome;
    const before = this.nodes.get(nodeId);
    if (before?.result === result) {
      before.reason = reason;
      return [];
    }
    this.nodes.set(nodeId, { result, reason, sinceMs: nowMs, warned: false });
    return [{ type: 'changed', outcome, from: before?.result ?? null }];
  }

  private overdue({ nodeId }: NodeOutcome, nowMs: number): ConsistencyTransition[] {
    const standing = this.nodes.get(nodeId);
    if (standing?.result !== 'unknown' || standing.warned || standing.reason === 'alone') return [];
    const forMs = nowMs - standing.sinceMs;
    if (forMs <= this.unknownAlertMs || standing.reason === null) return [];
    standing.warned = true;
    return [{ type: 'stays-unknown', nodeId, reason: standing.reason, forMs }];
  }
}
