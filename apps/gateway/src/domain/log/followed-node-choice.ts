import { rendezvous } from '#libs/balancer';
import type { Candidate } from '../nodes/candidate.js';

/** Longer than a node that flaps is up, and than gateways need to learn that it is back. */
const RETURN_AFTER_MS = 30_000;
const RETURN_AFTER_MOST_MS = 600_000;
/** A node that was followed for so long without trouble is as good as new. */
const TRUSTED_AFTER_MS = 300_000;

/**
 * Whose log a gateway follows. One stream lasts for days: to be spread evenly it has to be chosen by lot, and each
 * gateway draws it from its own name, so that all together spread and none moves without need. A gateway whose
 * node was lost goes back to it when it has been fit for a while; later each time, if following it fails again.
 */
export class FollowedNodeChoice {
  private left: Candidate[] = [];
  private preferredSinceMs: number | null = null;
  private troubles = 0;
  private begunMs = 0;

  /** @param jitter in [0, 1), so that many gateways do not return at once */
  constructor(
    private readonly instanceId: string,
    private readonly jitter: number,
  ) {}

  /** The node to follow now; those that were left since one was last in step come last. */
  choose(tiers: readonly (readonly Candidate[])[], nowMs: number): Candidate | undefined {
    this.begunMs = nowMs;
    this.preferredSinceMs = null;
    for (const tier of tiers) {
      const untried = tier.filter((candidate) => !this.left.includes(candidate));
      if (untried.length > 0) return rendezvous(untried, this.instanceId);
    }
    this.left = [];
    return rendezvous(tiers[0] ?? [], this.instanceId);
  }

  /** It was left for a reason that lies with it. */
  failed(candidate: Candidate, tiers: readonly (readonly Candidate[])[], nowMs: number): void {
    this.left.push(candidate);
    if (rendezvous(tiers.flat(), this.instanceId) !== candidate) return;
    this.troubles = nowMs - this.begunMs > TRUSTED_AFTER_MS ? 1 : this.troubles + 1;
  }

  inStep(): void {
    this.left = [];
  }

  /** Whether the node that this gateway prefers has been fit for long enough to leave the followed one for it. */
  shouldReturn(followed: Candidate, best: readonly Candidate[], nowMs: number): boolean {
    const preferred = rendezvous(best, this.instanceId);
    if (preferred === undefined || preferred === followed) {
      this.preferredSinceMs = null;
      return false;
    }
    this.preferredSinceMs ??= nowMs;
    return nowMs - this.preferredSinceMs >= this.returnAfterMs();
  }

  private returnAfterMs(): number {
    const ms = RETURN_AFTER_MS * 2 ** Math.min(10, Math.max(0, this.troubles - 1));
    return Math.min(RETURN_AFTER_MOST_MS, ms) * (1 + this.jitter / 2);
  }
}
