import { ApiClient, problemCode, until } from '#libs/testing';

/** Clients that write through the gateway as fast as they are answered, and remember when they were. */
export class Writers {
  private readonly api: ApiClient;
  private readonly running: Promise<void>[];
  private stopped = false;
  readonly acknowledgedAt: number[] = [];
  readonly failures: string[] = [];

  constructor(gateway: string, count: number) {
    this.api = new ApiClient(gateway, count);
    this.running = Array.from({ length: count }, (_, i) => this.write(i));
  }

  private async write(writer: number): Promise<void> {
    const value = 'x'.repeat(1_000);
    for (let i = 0; !this.stopped; i++) {
      try {
        const answer = await this.api.put('bench', `w${writer}/${i % 100}`, value);
        if (answer.status < 300) this.acknowledgedAt.push(performance.now());
        else this.failures.push(problemCode(answer));
      } catch (error) {
        this.failures.push(String(error));
      }
    }
  }

  async acknowledgedAfter(moment: number): Promise<void> {
    await until('an acknowledged write', () => (this.acknowledgedAt.at(-1) ?? 0) > moment, 30_000);
  }

  /** Longest time between two acknowledgements, of which the later came after `from`. */
  gapMs(from: number): number {
    const first = this.acknowledgedAt.findLastIndex((at) => at < from);
    const times = this.acknowledgedAt.slice(Math.max(0, first));
    return times.reduce((gap, at, i) => Math.max(gap, at - (times[i - 1] ?? at)), 0);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.running);
    await this.api.close();
  }
}
