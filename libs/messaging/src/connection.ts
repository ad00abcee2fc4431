import {
  connect,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription,
} from '@nats-io/transport-node';
import type { Logger } from 'pino';
import {
  type Clock,
  crashOnDefect,
  deferred,
  fullJitterMs,
  type Rng,
  sleep,
  TimeoutError,
  withTimeout,
} from '#libs/kernel';

export interface ConnectionSettings {
  servers: string[];
  user?: string | undefined;
  password?: string | undefined;
  /** Shown by the server, and the source of what this process publishes. */
  name: string;
}

export type BusLogger = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

interface SubscriptionState {
  subject: string;
  queue: string | undefined;
  callback: (message: Msg) => void;
  live: Subscription | undefined;
}

/** Of the processes of a cluster: members, who use `_INBOX`, cannot subscribe to the replies that these get. */
export const INBOX_PREFIX = '_HOLDFAST_INBOX';
const RETRY = { baseMs: 50, capMs: 800 };
const CONNECT_TIMEOUT_MS = 1_000;
/** A server that stopped answering is noticed after two unanswered pings: a frozen process keeps its sockets open. */
const PING_EVERY_MS = 1_000;
const PINGS_UNANSWERED = 2;
/** For those who draw conclusions from silence: when nothing came for this long, the server is asked for an answer. */
const PROBE_EVERY_MS = 250;
const RESPONSIVE_FOR_MS = 3 * PROBE_EVERY_MS;

/**
 * Keeps one connection to the bus for the life of the process.
 *
 * Every connection is made anew instead of letting the client library reconnect: the library buffers what is
 * published while it is away, without bound, and delivers it late. News that could not be sent is worthless later
 * (everybody recovers from data), so here a publish while disconnected is refused at once. Subscriptions stand on
 * this object and are made again on each new connection.
 */
export class BusConnection {
  private nc: NatsConnection | undefined;
  private closing = false;
  private readonly standing = new Set<SubscriptionState>();
  private readonly statusListeners = new Set<(connected: boolean) => void>();
  private readonly abort = new AbortController();
  private readonly loop: Promise<void>;
  private answeredAtMs = Number.NEGATIVE_INFINITY;
  private probing = false;

  constructor(
    readonly settings: ConnectionSettings,
    private readonly logger: BusLogger,
    private readonly rng: Rng,
    private readonly clock: Clock,
  ) {
    this.loop = this.run();
  }

  get current(): NatsConnection | undefined {
    return this.nc && !this.nc.isClosed() ? this.nc : undefined;
  }

  /** Connected, and the server answered a moment ago: a frozen one counts as connected for seconds. */
  get responsive(): boolean {
    return this.current !== undefined && this.clock.monotonicMs() - this.answeredAtMs < RESPONSIVE_FOR_MS;
  }

  onStatus(listener: (connected: boolean) => void): () => void {
    this.statusListeners.add(listener);
    return () => this.statusListeners.delete(listener);
  }

  subscribe(subject: string, queue: string | undefined, callback: (message: Msg) => void): () => void {
    const standing: SubscriptionState = { subject, queue, callback, live: undefined };
    this.standing.add(standing);
    const { current } = this;
    if (current) this.attach(standing, current);
    return () => {
      this.standing.delete(standing);
      if (standing.live && !standing.live.isClosed()) standing.live.unsubscribe();
    };
  }

  /**
   * Resolves to true when the server has every subscription made so far: it answers a ping only after the subscriptions
   * that were sent before it. False when the server cannot be reached, or does not answer, within `waitMs`.
   */
  async subscribed(waitMs: number): Promise<boolean> {
    const untilMs = this.clock.monotonicMs() + waitMs;
    for (let leftMs = waitMs; leftMs > 0; leftMs = untilMs - this.clock.monotonicMs()) {
      const { current } = this;
      if (current && (await this.confirms(current, leftMs))) return true;
      if (!(await this.statusChange(untilMs - this.clock.monotonicMs()))) return false;
    }
    return false;
  }

  /** Sends now or not at all. */
  send(subject: string, body: Uint8Array, headers: MsgHdrs, reply?: string): boolean {
    const { current } = this;
    if (!current) return false;
    try {
      current.publish(subject, body, { headers, ...(reply ? { reply } : {}) });
      return true;
    } catch (error) {
      crashOnDefect(error);
      // Too large for the server, or closed since we looked: either way it was not sent.
      this.logger.debug({ error, subject }, 'message not sent');
      return false;
    }
  }

  async close(): Promise<void> {
    this.closing = true;
    this.abort.abort(new Error('the bus is closing'));
    const { current } = this;
    if (current) {
      try {
        await withTimeout(current.drain(), 2_000, 'draining the bus connection');
      } catch (error) {
        this.logger.debug({ error }, 'the bus connection did not drain');
        await current.close();
      }
    }
    await this.loop;
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.closing) {
      const connected = await this.connectOnce(failures);
      if (connected) {
        failures = 0;
        await this.live(connected);
      }
      if (this.closing) return;
      await this.pause(fullJitterMs(RETRY, failures, this.rng));
      failures++;
    }
  }

  private async connectOnce(failures: number): Promise<NatsConnection | undefined> {
    const { servers, user, password, name } = this.settings;
    try {
      return await connect({
        servers,
        name,
        ...(user === undefined ? {} : { user }),
        ...(password === undefined ? {} : { pass: password }),
        reconnect: false,
        inboxPrefix: INBOX_PREFIX,
        timeout: CONNECT_TIMEOUT_MS,
        pingInterval: PING_EVERY_MS,
        maxPingOut: PINGS_UNANSWERED,
        noAsyncTraces: true,
        ignoreClusterUpdates: true,
      });
    } catch (error) {
      const level = failures === 0 ? 'warn' : 'debug';
      this.logger[level]({ reason: messageOf(error), servers: servers.length }, 'the bus cannot be reached');
      return undefined;
    }
  }

  private async live(nc: NatsConnection): Promise<void> {
    if (this.closing) {
      await nc.close();
      return;
    }
    this.nc = nc;
    for (const standing of this.standing) this.attach(standing, nc);
    this.logger.info({ server: nc.getServer(), version: nc.info?.version }, 'bus connected');
    this.answeredAtMs = this.clock.monotonicMs();
    this.notify(true);
    const errors = this.logErrors(nc);
    const prober = setInterval(() => void this.probe(nc), PROBE_EVERY_MS);
    const reason = await nc.closed();
    clearInterval(prober);
    this.nc = undefined;
    await errors;
    if (!this.closing) this.logger.warn({ reason: messageOf(reason) }, 'bus connection lost');
    this.notify(false);
  }

  /** Never rejects: an unanswered probe is the answer. */
  private async probe(nc: NatsConnection): Promise<void> {
    const heardLately = this.clock.monotonicMs() - this.answeredAtMs < PROBE_EVERY_MS;
    if (heardLately || this.probing || nc.isClosed()) return;
    this.probing = true;
    try {
      await nc.flush();
      this.answeredAtMs = this.clock.monotonicMs();
    } catch (error) {
      this.logger.debug({ reason: messageOf(error) }, 'the bus did not answer');
    } finally {
      this.probing = false;
    }
  }

  private async logErrors(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      if (status.type === 'error') this.logger.warn({ reason: messageOf(status.error) }, 'bus error');
    }
  }

  private async confirms(nc: NatsConnection, waitMs: number): Promise<boolean> {
    try {
      await withTimeout(nc.flush(), waitMs, 'confirming the subscriptions');
      return true;
    } catch (error) {
      this.logger.debug({ reason: messageOf(error) }, 'the bus did not confirm the subscriptions');
      return false;
    }
  }

  /** True when the connection came or went, false when it did neither within `waitMs`. */
  private statusChange(waitMs: number): Promise<boolean> {
    const changed = deferred<boolean>();
    const stop = this.onStatus(() => changed.resolve(true));
    const timer = setTimeout(() => changed.resolve(false), Math.max(0, waitMs));
    return changed.promise.finally(() => {
      clearTimeout(timer);
      stop();
    });
  }

  private attach(standing: SubscriptionState, nc: NatsConnection): void {
    standing.live = nc.subscribe(standing.subject, {
      ...(standing.queue === undefined ? {} : { queue: standing.queue }),
      callback: (error, message) => {
        if (error)
          this.logger.warn({ subject: standing.subject, reason: messageOf(error) }, 'subscription failed');
        else {
          this.answeredAtMs = this.clock.monotonicMs();
          standing.callback(message);
        }
      },
    });
  }

  private notify(connected: boolean): void {
    for (const listener of this.statusListeners) {
      try {
        listener(connected);
      } catch (error) {
        crashOnDefect(error);
        this.logger.error({ error }, 'a listener of the bus status failed');
      }
    }
  }

  private async pause(ms: number): Promise<void> {
    try {
      await sleep(ms, this.abort.signal);
    } catch (error) {
      if (!this.closing || error instanceof TimeoutError) throw error;
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'closed';
}
