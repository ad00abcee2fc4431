import { type Clock, FailureLog, type Repeating, repeat } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { HeadRow } from '../domain/log.types.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { ConfigStore } from '../store/config.store.js';

export interface HeadMonitorOptions {
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

export interface HeadMonitorParts {
  options: HeadMonitorOptions;
  host: ReplicaHost;
  store: ConfigStore;
  busConnected: () => boolean;
  listener: HeadListener;
  clock: Clock;
  logger: Logger;
}

/** Reads `config.head` regularly, and at once when there is reason to. */
export class HeadMonitor {
  private loop: Repeating | undefined;
  private lastReadAtMs = Number.NEGATIVE_INFINITY;
  private wanted = true;
  private hurrying: NodeJS.Timeout | undefined;
  private readonly failures: FailureLog;

  constructor(private readonly parts: HeadMonitorParts) {
    const { clock, logger } = parts;
    this.failures = new FailureLog(logger, clock);
  }

  start(): void {
    this.parts.host.onAwaited(() => this.hurry(HURRY_AFTER_MS));
    this.loop = repeat(() => this.tick(), {
      everyMs: Math.min(this.parts.options.everyMs, this.parts.options.withoutBusMs) / 2,
      onError: (error) => this.failures.failed(READING, error),
    });
  }

  trigger(): void {
    this.wanted = true;
    this.loop?.trigger();
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
      if (!this.parts.host.isAwaited) return;
      this.trigger();
      this.hurry(HURRY_AGAIN_MS);
    }, afterMs);
  }

  private async tick(): Promise<void> {
    const nowMs = this.parts.clock.monotonicMs();
    const { everyMs, withoutBusMs, confirmedMs } = this.parts.options;
    const withBusMs = this.parts.host.freshAgeMs > everyMs ? everyMs : confirmedMs;
    const dueMs = this.lastReadAtMs + (this.parts.busConnected() ? withBusMs : withoutBusMs);
    if (!this.wanted && nowMs < dueMs) return;
    this.wanted = false;
    this.lastReadAtMs = nowMs;
    const versionAtAsking = this.parts.host.replica.version;
    const head = await this.parts.store.readHead();
    this.failures.succeeded(READING);
    await this.parts.listener(head, versionAtAsking, nowMs);
  }
}
