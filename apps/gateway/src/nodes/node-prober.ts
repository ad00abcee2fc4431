import { NodePing } from '#libs/contracts';
import { type Clock, crashOnDefect, messageOf, type Repeating, repeat, withTimeout } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { NodeDirectory } from './node-directory.js';
import type { Upstreams } from './upstreams.js';

/**
 * Asks nodes for `/ping` when nobody else tells how they are: all of them every 500 ms while the bus is silent and
 * ten times as often while writes wait for a leader that nobody names; a node in doubt at once, and then once a second
 * until it answers; everyone every 10 s, so that a connection to each is open when it is needed.
 */
const TURN_MS = 50;
const BUS_SILENT_MS = 1_500;
const SILENT_EVERY_MS = 500;
const URGENT_EVERY_MS = 50;
const LEADERLESS_EVERY_MS = 200;
const DOUBTED_EVERY_MS = 1_000;
const WARM_EVERY_MS = 10_000;
const ANSWER_WITHIN_MS = 500;
const TRIES = 2;

export interface ProberOptions {
  directory: NodeDirectory;
  upstreams: Upstreams;
  clock: Clock;
  logger: Logger;
  /** Whether writes are waiting for a leader. */
  urgent: () => boolean;
}

export class NodeProber {
  private readonly lastAtMs = new Map<string, number>();
  private readonly underWay = new Set<string>();
  private readonly doubted = new Set<string>();
  private allDoubted = false;
  private known: { tiers: ReturnType<NodeDirectory['tiers']> | undefined; addresses: readonly string[] } = {
    tiers: undefined,
    addresses: [],
  };
  private timer: Repeating | undefined;

  constructor(private readonly options: ProberOptions) {
    options.directory.on({
      doubt: (address) => {
        if (address === undefined) this.allDoubted = true;
        else this.doubted.add(address);
        this.turn();
      },
    });
  }

  start(): void {
    this.timer = repeat(() => this.turn(), {
      everyMs: TURN_MS,
      onError: (error) => this.options.logger.error({ error }, 'probing the nodes failed: it is tried again'),
    });
  }

  async stop(): Promise<void> {
    await this.timer?.stop();
  }

  /** Asks every node once and waits for the answers. */
  async askAll(): Promise<void> {
    await Promise.all(this.addresses().map((address) => this.probe(address)));
  }

  private turn(): void {
    const nowMs = this.options.clock.monotonicMs();
    const everyMs = this.everyMs();
    const all = this.allDoubted;
    const addresses = this.addresses();
    this.allDoubted = false;
    this.options.upstreams.tidy(addresses, (error) =>
      this.options.logger.warn({ error }, 'closing the connections to a node failed'),
    );
    for (const address of addresses) {
      const sinceMs = nowMs - (this.lastAtMs.get(address) ?? Number.NEGATIVE_INFINITY);
      const unanswered = this.options.directory.table.byAddress(address)?.answers === false;
      const due =
        sinceMs >= everyMs ||
        (unanswered && sinceMs >= DOUBTED_EVERY_MS) ||
        ((all || this.doubted.has(address)) && sinceMs >= URGENT_EVERY_MS);
      if (!due) continue;
      this.doubted.delete(address);
      this.probe(address).catch((error: unknown) => {
        crashOnDefect(error);
        this.options.logger.error({ error, address }, 'probe of a node failed unexpectedly');
      });
    }
  }

  private everyMs(): number {
    const silent = this.options.directory.busSilentForMs() > BUS_SILENT_MS;
    if (silent) return this.options.urgent() ? URGENT_EVERY_MS : SILENT_EVERY_MS;
    return this.options.urgent() && this.options.directory.target === null
      ? LEADERLESS_EVERY_MS
      : WARM_EVERY_MS;
  }

  /** In the order in which nodes would be asked, made anew only when that has changed. */
  private addresses(): readonly string[] {
    const tiers = this.options.directory.tiers();
    if (tiers !== this.known.tiers) {
      this.known = { tiers, addresses: tiers.flat().map(({ address }) => address) };
    }
    return this.known.addresses;
  }

  /** Never rejects: that a node does not answer is what is to be found out. */
  private async probe(address: string): Promise<void> {
    if (this.underWay.has(address)) return;
    this.underWay.add(address);
    const { directory } = this.options;
    try {
      for (let tries = 1; ; tries++) {
        const outcome = await this.tryPing(address);
        if (outcome === 'answered') return;
        // One ping may be lost in a stall of either side, or meet a connection that is just closing; a refusal is sure.
        if (outcome === 'refused' || tries === TRIES) {
          directory.unanswered(address);
          return;
        }
      }
    } finally {
      this.underWay.delete(address);
    }
  }

  private async tryPing(address: string): Promise<'answered' | 'refused' | 'missed'> {
    const askedAtMs = this.options.clock.monotonicMs();
    this.lastAtMs.set(address, askedAtMs);
    try {
      const ping = await withTimeout(this.ping(address), ANSWER_WITHIN_MS, 'a ping');
      this.options.directory.probed(ping, address, askedAtMs);
      return 'answered';
    } catch (error) {
      crashOnDefect(error);
      const reason = messageOf(error);
      this.options.logger.debug({ address, reason }, 'no ping');
      return isRefusal(error) ? 'refused' : 'missed';
    }
  }

  private async ping(address: string): Promise<NodePing> {
    const { statusCode, body } = await this.options.upstreams.pool(address).request({
      method: 'GET',
      path: '/ping',
      headersTimeout: ANSWER_WITHIN_MS,
      bodyTimeout: ANSWER_WITHIN_MS,
    });
    const ping = NodePing.safeParse(await body.json());
    if (statusCode !== 200 || !ping.success) throw new Error(`status ${statusCode}, not the ping of a node`);
    return ping.data;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
}
