/** Of the time that a comparison keeps this service and the database busy. */
const REGULAR_SHARE = 0.01;
/** Somebody waits for it. */
const ASKED_SHARE = 0.1;

export interface LastTruth {
  /** When it ended, by this process's own clock, and how long it kept anybody busy. */
  endedMs: number;
  busyMs: number;
}

/** When the next comparison with the truth may begin: the larger the state, the longer it takes, the rarer it comes. */
export class ReferencePace {
  private last: LastTruth | undefined;

  constructor(private readonly everyMs: number) {}

  took(last: LastTruth): void {
    this.last = last;
  }

  isDue(nowMs: number, asked: 'regular' | 'asked'): boolean {
    if (this.last === undefined) return true;
    const { endedMs, busyMs } = this.last;
    const restMs = asked === 'asked' ? busyMs / ASKED_SHARE : Math.max(this.everyMs, busyMs / REGULAR_SHARE);
    return nowMs - endedMs >= restMs;
  }

  /** So old a comparison still speaks for a node that has nobody else to be compared with. */
  get speaksForMs(): number {
    return 3 * Math.max(this.everyMs, (this.last?.busyMs ?? 0) / REGULAR_SHARE);
  }
}
