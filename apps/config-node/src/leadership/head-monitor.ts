import { type Clock, FailureLog, type Repeating, repeat } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { HeadRow } from '../domain/log.types.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { ConfigStore } from '../store/config.store.js';

export interface HeadWatchOptions {
  everyMs: number;
  /** While the bus is silent, head is the only news. */
  withoutBusMs: number;
  /** While the leader says by the bus that the database confirms its head. */
  confirmedMs: number;
}

/** The bus brings a change within milliseconds; what is still missing then is asked for. */
const HURRY_AFTER_MS = 20;
const HURRY_AGAIN_MS = 250;
const READING = 'reading the head';

export type HeadListener = (head: HeadRow, versionAtAsking: number, askedAtMs: number) => Promise<void>;

/** Reads `config.head` regularly, and at once when there is reason to. */
export class HeadMonitor {
  private loop: Repeating | undefined;
  private lastReadAtMs = Number.NEGATIVE_INFINITY;
  private wanted = true;
  private hurrying: NodeJS.Timeout | undefined;
  private readonly failures: FailureLog;

  constructor(
    private readonly options: HeadWatchOptions,
    private readonly host: ReplicaHost,
    private readonly store: ConfigStore,
    private readonly busConnected: () => boolean,
    private readonly listener: HeadListener,
    private readonly clock: Clock,
    logger: Logger,
  ) {
    this.failures = new FailureLog(logger, clock);
  }

  start(): void {
    this.host.onAwaited(() => this.hurry(HURRY_AFTER_MS));
    this.loop = repeat(() => this.tick(), {
      everyMs: Math.min(this.options.everyMs, this.options.withoutBusMs) / 2,
      onError: (error) => this.failures.failed(READING, error),
    });
  }

  poke(): void {
    this.wanted = true;
    this.loop?.poke();
  }

  async stop(): Promise<void> {
    clearTimeout(this.hurrying);
    await this.loop?.stop();
  }

  /**
   * Clients wait for a version: unless it comes by the bus in a moment, as it does as a rule, head says whether it is
   * committed. The same again for as long as somebody waits.
   */
  private hurry(afterMs: number): void {
    if (this.hurrying !== undefined) return;
    this.hurrying = setTimeout(() => {
      this.hurrying = undefined;
      if (!this.host.isAwaited) return;
      this.poke();
      this.hurry(HURRY_AGAIN_MS);
    }, afterMs);
  }

  private async tick(): Promise<void> {
    const nowMs = this.clock.monotonicMs();
    const { everyMs, withoutBusMs, confirmedMs } = this.options;
    const withBusMs = this.host.freshAgeMs > everyMs ? everyMs : confirmedMs;
    const dueMs = this.lastReadAtMs + (this.busConnected() ? withBusMs : withoutBusMs);
    if (!this.wanted && nowMs < dueMs) return;
    this.wanted = false;
    this.lastReadAtMs = nowMs;
    const versionAtAsking = this.host.replica.version;
    const head = await this.store.readHead();
    this.failures.succeeded(READING);
    await this.listener(head, versionAtAsking, nowMs);
  }
}
