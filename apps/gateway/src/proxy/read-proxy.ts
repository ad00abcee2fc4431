import { Problem } from '#libs/contracts';
import { type Client, sendProblem } from './client.js';
import { ProxiedRead, type ReadContext } from './proxied-read.js';

/** More reads than this under way at once, and further ones are turned away. */
const MAX_READS = 4_096;
/** A node that has not answered a read for so long is asked whether it lives, and again after as long. */
const DOUBT_AFTER_MS = 300;
const SWEEP_EVERY_MS = 100;
const STALLED_FOR_MS = 30_000;

/** Balances reads over nodes; knows all that are under way, so that none waits for a node that will not answer. */
export class ReadProxy {
  private readonly underWay = new Set<ProxiedRead>();
  private readonly sweeper: NodeJS.Timeout;

  constructor(private readonly options: ReadContext) {
    options.directory.on({ out: (address) => this.leave(address) });
    options.metrics.watchReads(() => this.underWay.size);
    this.sweeper = setInterval(() => this.sweep(), SWEEP_EVERY_MS);
    this.sweeper.unref();
  }

  get size(): number {
    return this.underWay.size;
  }

  handle(client: Client): void {
    if (this.underWay.size >= MAX_READS) {
      sendProblem(client, new Problem('cluster-busy', 'too many reads are under way at this gateway'));
      return;
    }
    const read = new ProxiedRead(client, this.options, () => this.underWay.delete(read));
    this.underWay.add(read);
    read.begin();
  }

  stop(): void {
    clearInterval(this.sweeper);
  }

  /** Nothing will come from there any more: what was not answered yet is asked elsewhere. */
  private leave(address: string): void {
    for (const read of [...this.underWay]) read.leave(address);
  }

  private sweep(): void {
    if (this.underWay.size === 0) return;
    const nowMs = this.options.monotonicMs();
    const doubted = new Set<string>();
    for (const read of this.underWay) {
      const address = read.waitingAt(nowMs, DOUBT_AFTER_MS);
      if (address !== undefined) doubted.add(address);
      read.cutStalled(nowMs, STALLED_FOR_MS);
    }
    for (const address of doubted) this.options.directory.doubt(address);
  }
}
