import { HEADERS, LIMITS, Problem } from '#libs/contracts';
import { hashKeyOf } from '../domain/hash-key.js';
import type { Candidate } from '../domain/nodes/candidate.js';
import { demandOf, type ReadDemand } from '../domain/reads/read-demand.js';
import { wishesOf } from '../domain/reads/read-wishes.js';
import { type Client, sendProblem } from './client.js';
import { ProxiedRead, type ReadContext } from './proxied-read.js';

/** More reads than this under way at once, those that wait for a version left out, and further ones are turned away. */
const MAX_READS = 4_096;
/** A node that has not answered a read for so long is asked whether it lives, and again after as long. */
const DOUBT_AFTER_MS = 300;
const SWEEP_EVERY_MS = 100;
const STALLED_FOR_MS = 30_000;
const TURN_WITHOUT_DATA_MS = 250;

/** Balances reads over nodes; knows all that are under way, so that none waits for a node that will not answer. */
export class ReadProxy {
  private readonly underWay = new Set<ProxiedRead>();
  private waiting = 0;
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
    const { req } = client;
    const { firstReads } = this.options;
    const demand = demandOf(req.url ?? '/', req.headers[HEADERS.minVersion]);
    const choice = this.choiceFor(client, demand);
    const node = choice.next([]);
    const isWaiting =
      demand.linearizable || (node !== undefined && choice.versionOf(node) < demand.minVersion);
    if (isWaiting ? this.waiting >= LIMITS.waitingReads : this.underWay.size - this.waiting >= MAX_READS) {
      if (choice.first) firstReads.ended();
      const which = isWaiting ? 'reads wait for a version' : 'reads are under way';
      sendProblem(client, new Problem('cluster-busy', `too many ${which} at this gateway`));
      return;
    }
    if (isWaiting) this.waiting += 1;
    const read = new ProxiedRead(client, { next: choice.next, isWaiting }, this.options, () => {
      this.underWay.delete(read);
      if (isWaiting) this.waiting -= 1;
      if (choice.first) firstReads.ended();
    });
    this.underWay.add(read);
    read.begin(node);
  }

  /** Which node is to answer, and which after those that did not. */
  private choiceFor({ req }: Client, demand: ReadDemand) {
    const { balancer, directory, ownWrites, firstReads, monotonicMs } = this.options;
    const target = req.url ?? '/';
    const nowMs = monotonicMs();
    const isFirst = firstReads.isFirst(req.socket);
    const ownVersion =
      ownWrites.size > 0 && demand.minVersion === 0 ? ownWrites.versionOf(hashKeyOf(target), nowMs) : 0;
    const first = isFirst && demand.plain && ownVersion === 0 && firstReads.mayAskLeader(nowMs);
    const isAnyNodeGood = demand.plain && !first && ownVersion === 0;
    const leader = isAnyNodeGood ? undefined : directory.leaderCandidate;
    const { headVersion } = directory;
    const versionOf = (candidate: Candidate) =>
      candidate === leader ? Math.max(candidate.version, headVersion) : candidate.version;
    const wishes = isAnyNodeGood
      ? undefined
      : wishesOf(demand, { leader, headVersion, ownVersion, first, versionOf });
    const next = (tried: readonly Candidate[]) => balancer.choose(target, tried, monotonicMs(), wishes);
    return { next, versionOf, first };
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
      read.yieldTurn(nowMs, TURN_WITHOUT_DATA_MS);
    }
    for (const address of doubted) this.options.directory.doubt(address);
  }
}
