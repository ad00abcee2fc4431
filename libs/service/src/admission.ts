import { Problem } from '#libs/contracts';

export interface AdmissionLimits {
  /** Pieces of work under way at once. */
  atOnce: number;
  /** Those that may wait for their turn; further ones are refused at once. */
  waiting: number;
  /** How long one may wait for its turn. */
  waitMs: number;
  /** What the refused client is told. */
  refusal: string;
}

interface WaitingEntry {
  admit: () => void;
  timer: NodeJS.Timeout;
}

/**
 * Admits heavy work a few pieces at a time, in the order of arrival. What would wait for long is refused with 429
 * `cluster-busy` instead: the client may come back, and the node keeps its memory and its event loop for the rest.
 */
export class Admission {
  private underWay = 0;
  private readonly queue = new Set<WaitingEntry>();

  constructor(private readonly limits: AdmissionLimits) {}

  /** Pieces of work that are under way or wait for their turn. */
  get size(): number {
    return this.underWay + this.queue.size;
  }

  /** Runs the work when its turn has come. Rejects with `cluster-busy`, or as the work does. */
  async execute<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.underWay >= this.limits.atOnce) await this.turn();
    else this.underWay += 1;
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  private turn(): Promise<void> {
    const { waiting, waitMs } = this.limits;
    if (this.queue.size >= waiting) throw this.refusal();
    return new Promise((resolve, reject) => {
      const entry: WaitingEntry = {
        admit: resolve,
        timer: setTimeout(() => {
          this.queue.delete(entry);
          reject(this.refusal());
        }, waitMs),
      };
      this.queue.add(entry);
    });
  }

  /** The place goes to the one that has waited longest. */
  private leave(): void {
    const [next] = this.queue;
    if (next === undefined) {
      this.underWay -= 1;
      return;
    }
    this.queue.delete(next);
    clearTimeout(next.timer);
    next.admit();
  }

  private refusal(): Problem {
    return new Problem('cluster-busy', this.limits.refusal);
  }
}
