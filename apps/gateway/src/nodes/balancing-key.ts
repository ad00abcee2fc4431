import { z } from 'zod';
import { GatewayBalancing, HEADERS, parseSystemValue, SYSTEM_NAMESPACE } from '#libs/contracts';
import { FailureLog, type Repeating, systemClock, systemRng } from '#libs/kernel';
import type { Bus } from '#libs/messaging';
import type { Logger } from '#libs/observability';
import {
  type BalancingSettings,
  balancingBy,
  isSame,
  strategyOf,
} from '../domain/nodes/balancing-settings.js';
import type { LoadBalancer } from '../domain/nodes/load-balancer.js';
import type { Hedging } from '../domain/reads/hedging.js';
import type { AskNode } from './ask-node.js';

const KEY = 'gateway/balancing';
const READ_EVERY_MS = 5_000;
const LISTING = `/v1/namespaces/${SYSTEM_NAMESPACE}/configs?prefix=${encodeURIComponent(KEY)}&limit=1`;

/** A listing says at which version the key is absent; a 404 would not. */
const Listing = z.object({
  version: z.number(),
  items: z.array(z.object({ key: z.string(), value: z.string(), version: z.number() })),
});

export interface BalancingKeyOptions {
  own: BalancingSettings;
  balancer: LoadBalancer;
  hedging: Hedging;
  nodes: AskNode;
  logger: Logger;
}

/**
 * Lets the whole cluster's gateways be told how to balance, by a key of the center itself. Read beside the requests,
 * never for one: while no node answers, all stays as it is. What is not valid is logged and ignored.
 */
export class BalancingKey {
  private present: BalancingSettings;
  /** Nodes may be behind one another: what was known at a later version is not taken back. */
  private seen = { term: 0, version: 0 };
  private wantedVersion = 0;
  private refused: number | undefined;
  private readonly stopped = new AbortController();
  private reading: Repeating | undefined;
  private unsubscribe: (() => void) | undefined;

  constructor(private readonly options: BalancingKeyOptions) {
    this.present = options.own;
  }

  start(bus: Bus): void {
    const failures = new FailureLog(this.options.logger, systemClock);
    this.reading = failures.repeat(`reading the key ${KEY}`, () => this.read(), { everyMs: READ_EVERY_MS });
    const changed = ({ version }: { version: number }) => this.changed(version);
    this.unsubscribe = bus.subscribeFamily('config.changed', changed, { token: SYSTEM_NAMESPACE });
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    this.stopped.abort();
    await this.reading?.stop();
  }

  /** The namespace was changed by that version: whoever is asked shall know it. */
  changed(version: number): void {
    this.wantedVersion = Math.max(this.wantedVersion, version);
    this.reading?.trigger();
  }

  private async read(): Promise<void> {
    const wanted = this.wantedVersion > this.seen.version ? `&minVersion=${this.wantedVersion}` : '';
    this.wantedVersion = 0;
    const { json, headers } = await this.options.nodes.answer(`${LISTING}${wanted}`, this.stopped.signal);
    const { version, items } = Listing.parse(json);
    const term = Number(headers[HEADERS.term] ?? 0);
    const { seen } = this;
    if (term < seen.term || (term === seen.term && version < seen.version)) return;
    this.seen = { term, version };
    const item = items.find(({ key }) => key === KEY);
    if (item === undefined) this.take(this.options.own);
    else this.judge(item);
  }

  private judge({ value, version }: { value: string; version: number }): void {
    const parsed = parseSystemValue(GatewayBalancing, value);
    if (!('fault' in parsed)) {
      this.take(balancingBy(this.options.own, parsed.value));
    } else if (this.refused !== version) {
      this.refused = version;
      this.options.logger.warn(
        { key: KEY, version, ...parsed.fault },
        'ignored an invalid balancing key: the settings before stay',
      );
    }
  }

  private take(balancing: BalancingSettings): void {
    if (isSame(balancing, this.present)) return;
    const { balancer, hedging, logger } = this.options;
    this.present = balancing;
    hedging.enabled = balancing.hedge;
    balancer.configure({
      strategy: strategyOf(balancing, systemRng.int(1_000)),
      slowStartMs: balancing.slowStartMs,
    });
    logger.info({ ...balancing }, 'balancing settings changed');
  }
}
