import type { Rng } from '#libs/kernel';

/** A node in this process: so many requests at once, the others wait in line; each takes an exponential time. */
export class SlowUpstream {
  private busy = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly meanMs: number,
    private readonly concurrency: number,
    private readonly rng: Rng,
  ) {}

  serve(done: () => void): void {
    if (this.busy === this.concurrency) {
      this.waiting.push(done);
      return;
    }
    this.busy += 1;
    setTimeout(
      () => {
        this.busy -= 1;
        done();
        const next = this.waiting.shift();
        if (next !== undefined) this.serve(next);
      },
      -Math.log(1 - this.rng.next()) * this.meanMs,
    );
  }
}
