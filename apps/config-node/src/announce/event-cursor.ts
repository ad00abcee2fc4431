import { type Change, LIMITS } from '#libs/contracts';
import { FailureLog, type Repeating, systemClock } from '#libs/kernel';
import type { Bus, DurableEvents } from '#libs/messaging';
import type { Logger, Metrics } from '#libs/observability';
import { factsOf } from '../domain/commit/config-events.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { ConfigStore } from '../store/config.store.js';

const EVERY_MS = 200;
/** Bounds what facts cost a leader that commits thousands of changes a second: the cursor follows later. */
const CHANGES_AT_ONCE = 100;
/** Where to begin when the stream can't say how far an earlier leader came. */
const LOOK_BACK = 1_000;

/**
 * Publishes `config.changed.<namespace>` from the log, by a cursor, while this node leads. A new leader goes on behind
 * the last fact that the stream has; facts published twice have the same id.
 */
export class EventCursor {
  private after: number | undefined;
  private leading = false;
  private loop: Repeating | undefined;
  private readonly leftOut;

  constructor(
    private readonly host: ReplicaHost,
    private readonly store: ConfigStore,
    private readonly bus: Bus,
    private readonly stream: DurableEvents,
    metrics: Metrics,
    private readonly logger: Logger,
  ) {
    this.leftOut = metrics.counter('facts_left_out_total', 'Facts that are larger than the bus takes');
  }

  begin(): void {
    this.leading = true;
    this.after = undefined;
    const failures = new FailureLog(this.logger, systemClock);
    this.loop ??= failures.repeat('publishing config.changed', () => this.advance(), {
      everyMs: EVERY_MS,
      firstAfterMs: EVERY_MS,
    });
  }

  end(): void {
    this.leading = false;
  }

  async stop(): Promise<void> {
    this.end();
    await this.loop?.stop();
  }

  private async advance(): Promise<void> {
    if (!this.leading || !this.bus.connected) return;
    this.after ??= await this.lastPublished();
    if (this.after >= this.host.replica.version) return;
    for (const change of await this.changesAfter(this.after)) {
      if (!this.leading || !(await this.publish(change))) return;
      this.after = change.version;
    }
  }

  private async changesAfter(version: number): Promise<readonly Change[]> {
    const recent = this.host.replica.changesAfter(version, CHANGES_AT_ONCE);
    if (recent !== 'compacted') return recent;
    const logged = await this.store.ownLog.changesAfter(version, CHANGES_AT_ONCE, LIMITS.batchBytes);
    if (logged !== 'compacted') return logged;
    this.logger.warn(
      { version },
      'the log is compacted beyond the last published event: some events are never published',
    );
    const retained = await this.store.ownLog.retainedAfter(0, CHANGES_AT_ONCE, LIMITS.batchBytes);
    return retained === 'compacted' ? [] : retained;
  }

  private async publish(change: Change): Promise<boolean> {
    for (const { namespace, id, payload } of factsOf(change)) {
      const stored = await this.stream.publishFamily('config.changed', namespace, payload, id);
      if (stored === 'unconfirmed') return false;
      if (stored === 'too-large') this.leftOut.inc();
    }
    return true;
  }

  private async lastPublished(): Promise<number> {
    const { version } = this.host.replica;
    const fallback = Math.max(0, version - LOOK_BACK);
    const last = (await this.stream.lastOf('config.changed')) as { version?: unknown } | undefined;
    const published = last?.version;
    return typeof published === 'number' && published <= version ? published - 1 : fallback;
  }
}
