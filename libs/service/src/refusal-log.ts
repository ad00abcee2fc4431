import type { Problem } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import type { Logger } from '#libs/observability';

const EVERY_MS = 10_000;

/** Logs refused signatures: each reason at once, and then every 10 s with the count since. */
export class RefusalLog {
  private readonly byReason = new Map<string, { loggedMs: number; since: number }>();

  constructor(
    private readonly logger: Logger,
    private readonly clock: Clock,
  ) {}

  /** Only problems of proofs carry a reason; there are few reasons. */
  note(problem: Problem, remoteAddress: string | undefined): void {
    const { reason } = problem.members;
    if (typeof reason !== 'string') return;
    const nowMs = this.clock.monotonicMs();
    const known = this.byReason.get(reason);
    if (known !== undefined && nowMs - known.loggedMs < EVERY_MS) {
      known.since += 1;
      return;
    }
    const suppressed = known?.since ?? 0;
    this.byReason.set(reason, { loggedMs: nowMs, since: 0 });
    this.logger.warn(
      { reason, remoteAddress, suppressed },
      `refused a request of another process: ${problem.detail}`,
    );
  }
}
