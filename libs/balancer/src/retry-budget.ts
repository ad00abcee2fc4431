const TOKEN = 1_000;

/**
 * Retry throttling of gRPC (proposal A6): a failure costs a token, a success brings a part of one back, and retries are
 * made only while more than half of the tokens are left. When everything fails, nothing is asked twice for long.
 * Counted in thousandths: a tenth of a token, summed up in binary fractions, never makes whole ones.
 */
export class RetryBudget {
  private readonly max: number;
  private tokens: number;

  /** @param perSuccess thousandths of a token */
  constructor(
    maxTokens = 10,
    private readonly perSuccess = 100,
  ) {
    this.max = maxTokens * TOKEN;
    this.tokens = this.max;
  }

  get allowsRetry(): boolean {
    return this.tokens * 2 > this.max;
  }

  failed(): void {
    this.tokens = Math.max(0, this.tokens - TOKEN);
  }

  succeeded(): void {
    if (this.tokens < this.max) this.tokens = Math.min(this.max, this.tokens + this.perSuccess);
  }
}

/** Whether one more is within a share of what is under way, or within a few that are always allowed (Envoy, retry_budget). */
export function withinShare(underWay: number, active: number, percent = 20, atLeast = 3): boolean {
  return underWay < Math.max(atLeast, Math.floor((active * percent) / 100));
}
