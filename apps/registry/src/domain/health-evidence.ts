import { type HealthChanged, UNANSWERED } from '#libs/contracts';
import type { StatusEvidence } from './status.js';

interface CurrentEvidence {
  change: HealthChanged;
  heardAtMs: number;
}

const MAX_NODES = 10_000;

/**
 * What health checks say of nodes. Of one node the greatest (incarnation, seq) counts; evidence about another
 * incarnation counts for nothing. Evidence that nobody renews ends by itself: an instance that died must not hold a
 * node down for ever. Passing checks need no renewal, since they only take evidence away.
 */
export class HealthEvidence {
  private readonly held = new Map<string, CurrentEvidence>();

  constructor(private readonly lifeMs: number) {}

  /** Also the same change again: that renews it. */
  apply(change: HealthChanged, nowMs: number): 'taken' | 'renewed' | 'old' {
    const known = this.held.get(change.nodeId);
    if (!known && this.held.size >= MAX_NODES) return 'old';
    const order = known ? compare(change, known.change) : 1;
    // What has ended holds nobody back: its sender may have counted further than any that is left.
    if (order < 0 && known && !this.hasEnded(known, nowMs)) return 'old';
    this.held.set(change.nodeId, { change, heardAtMs: nowMs });
    return order === 0 ? 'renewed' : 'taken';
  }

  against(nodeId: string, incarnation: number, nowMs: number): StatusEvidence['checks'] {
    const change = this.standing(nodeId, incarnation, nowMs);
    if (change?.health !== 'down') return undefined;
    return change.reason !== null && UNANSWERED.includes(change.reason) ? 'unanswered' : 'not-ready';
  }

  /** The change that counts for this incarnation at this time. */
  standing(nodeId: string, incarnation: number, nowMs: number): HealthChanged | undefined {
    const known = this.held.get(nodeId);
    if (!known || known.change.incarnation !== incarnation || this.hasEnded(known, nowMs)) return undefined;
    return known.change;
  }

  /** Nothing could be heard for a time: nobody's evidence is older for it. */
  resetDeadlines(nowMs: number): void {
    for (const held of this.held.values()) {
      if (!this.hasEnded(held, nowMs)) held.heardAtMs = Math.max(held.heardAtMs, nowMs);
    }
  }

  forget(nodeId: string): void {
    this.held.delete(nodeId);
  }

  private hasEnded({ change, heardAtMs }: CurrentEvidence, nowMs: number): boolean {
    return change.health === 'down' && nowMs - heardAtMs > this.lifeMs;
  }
}

function compare(a: HealthChanged, b: HealthChanged): number {
  return a.incarnation - b.incarnation || a.seq - b.seq;
}
