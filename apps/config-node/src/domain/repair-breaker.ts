/** More repairs are no single faults: an operator is to look at what happened first. */
export const MAX_REPAIRS = 100;
/** A budget lasts this long, unless it was used up. */
const BUDGET_MS = 3_600_000;

/**
 * Bounds how much is repaired without anybody looking. Once the budget of an hour is used up the breaker is open, and it
 * stays open, whatever time passes: until `close`, for a new term or because an operator said so.
 */
export class RepairBreaker {
  private used = 0;
  private sinceMs = Number.NEGATIVE_INFINITY;
  private open = false;

  constructor(private budget = MAX_REPAIRS) {}

  get isOpen(): boolean {
    return this.open;
  }

  /** Whether one more repair may be made; counts it. */
  allows(nowMs: number): boolean {
    if (this.open) return false;
    if (nowMs - this.sinceMs > BUDGET_MS) {
      this.used = 0;
      this.sinceMs = nowMs;
    }
    this.open = this.used >= this.budget;
    if (!this.open) this.used++;
    return !this.open;
  }

  close(budget = MAX_REPAIRS): void {
    this.budget = budget;
    this.used = 0;
    this.open = false;
  }
}
