import { Problem } from '#libs/contracts';
import { type Bus, BusError } from '#libs/messaging';
import { type Broker, BUS, type Message } from '../world/broker.js';
import type { SimProcess } from '../world/process.js';

/** A connection that was cut is noticed by unanswered pings; a server that is gone, at once. */
const SILENT_AFTER_MS = 750;
const AWAY_AFTER_MS = 2_000;
const BACK_WITHIN_MS = 400;

type Payload = Record<string, unknown>;

/** A process's connection to the bus, with the promises of Bus. What passes is not parsed: both ends are ours. */
export class SimBus {
  private brokenSinceMs: number | undefined;
  private joining = false;
  private told = true;
  private readonly statusListeners = new Set<(connected: boolean) => void>();

  constructor(
    private readonly process: SimProcess,
    private readonly broker: Broker,
  ) {
    broker.whenChanged(() => this.look());
    broker.network.whenChanged(() => this.look());
    this.look();
  }

  get connected(): boolean {
    if (this.brokenSinceMs === undefined) return true;
    return this.broker.isUp && !this.joining && this.silentForMs < AWAY_AFTER_MS;
  }

  get responsive(): boolean {
    return this.brokenSinceMs === undefined || (this.connected && this.silentForMs < SILENT_AFTER_MS);
  }

  /** A server that keeps no streams. */
  get connection() {
    return this.connected ? { info: { jetstream: false } } : undefined;
  }

  readonly counts = { published: 0, unsent: 0, received: 0, invalid: 0, forged: 0, ignored: 0, failed: 0 };

  onStatus(listener: (connected: boolean) => void): () => void {
    this.statusListeners.add(listener);
    return () => this.statusListeners.delete(listener);
  }

  publish(subject: string, payload: Payload): boolean {
    if (!this.connected) return false;
    this.broker.publish(this.process, { subject, payload, reply: undefined });
    return true;
  }

  publishFamily(family: string, _token: string, payload: Payload): boolean {
    return this.publish(family, payload);
  }

  subscribe(
    subject: string,
    handler: (payload: never) => void | Promise<void>,
    options: { queue?: string } = {},
  ) {
    const handle = ({ payload }: Message) => {
      handler(payload as never)?.catch((error: unknown) =>
        this.process.world.fail('a subscriber failed on a message', String(error)),
      );
    };
    return this.broker.subscribe({ process: this.process, subject, queue: options.queue, handle });
  }

  handle(
    subject: string,
    handler: (request: never) => unknown,
    options: { queue?: string; token?: string } = {},
  ): () => void {
    const handle = ({ payload, reply }: Message) => {
      const answer = async () => handler(payload as never);
      answer().then(
        (value) => reply?.({ reply: value }),
        (problem: unknown) =>
          reply?.({
            problem: problem instanceof Problem ? problem : new Problem('internal', String(problem)),
          }),
      );
    };
    return this.broker.subscribe({
      process: this.process,
      subject: address(subject, options.token),
      queue: options.queue,
      handle,
    });
  }

  request(
    subject: string,
    payload: Payload,
    options: { timeoutMs: number; token?: string },
  ): Promise<unknown> {
    if (!this.connected) return Promise.reject(new BusError('disconnected', subject));
    return new Promise((resolve, reject) => {
      const timer = this.process.timer(options.timeoutMs, () => reject(new BusError('timeout', subject)));
      const settle = (run: () => void) => {
        timer.run = undefined;
        run();
      };
      const heard = this.ask(address(subject, options.token), payload, (answer) =>
        settle(() => ('reply' in answer ? resolve(answer.reply) : reject(answer.problem))),
      );
      if (heard === 0 && this.broker.reaches(this.process)) {
        this.process.deliverIn(1, () => settle(() => reject(new BusError('no-responders', subject))));
      }
    });
  }

  requestMany(
    subject: string,
    payload: Payload,
    options: { waitMs: number; token?: string; enough?: (replies: readonly unknown[]) => boolean },
  ): Promise<unknown[]> {
    if (!this.connected) return Promise.reject(new BusError('disconnected', subject));
    return new Promise((resolve) => {
      const replies: unknown[] = [];
      const timer = this.process.timer(options.waitMs, () => resolve(replies));
      const finish = () => {
        timer.run = undefined;
        resolve(replies);
      };
      const heard = this.ask(address(subject, options.token), payload, (answer) => {
        if ('reply' in answer) replies.push(answer.reply);
        if (options.enough?.(replies)) finish();
      });
      if (heard === 0 && this.broker.reaches(this.process)) this.process.deliverIn(1, finish);
    });
  }

  /** A round trip: the bus keeps its order, so what waited comes before. Across a cut there is no answer. */
  flush(): Promise<void> {
    const { process, broker } = this;
    const { network } = broker;
    return new Promise((resolve, reject) => {
      if (!broker.reaches(process)) {
        process.timer(AWAY_AFTER_MS, () => reject(new BusError('disconnected', 'flush')));
        return;
      }
      const tripMs = network.delayMs(process.name, BUS) + network.delayMs(BUS, process.name);
      process.deliverIn(tripMs, resolve);
    });
  }

  async close(): Promise<void> {}

  private ask(
    subject: string,
    payload: Payload,
    take: (answer: { reply: unknown } | { problem: unknown }) => void,
  ): number {
    const { process, broker } = this;
    // Each responder answers from wherever it runs.
    return broker.publish(process, {
      subject,
      payload,
      reply: (answer) => {
        const responder = process.world.current;
        if (responder !== undefined) broker.answer(responder, process, () => take(answer));
      },
    });
  }

  private get silentForMs(): number {
    return this.process.world.nowMs - (this.brokenSinceMs ?? 0);
  }

  /** Something between this process and the bus may have changed. */
  private look(): void {
    const { process, broker } = this;
    if (!process.alive) return;
    if (!broker.reaches(process)) {
      this.brokenSinceMs ??= process.world.nowMs;
      process.deliverIn(broker.isUp ? AWAY_AFTER_MS : 1, () => this.tell());
      return;
    }
    if (this.brokenSinceMs === undefined || this.joining) return;
    if (this.connected) {
      this.brokenSinceMs = undefined; // it was over before anybody noticed
      return;
    }
    this.joining = true;
    process.deliverIn(50 + process.rng.next() * BACK_WITHIN_MS, () => {
      this.joining = false;
      if (broker.reaches(process)) this.brokenSinceMs = undefined;
      this.tell();
    });
  }

  private tell(): void {
    const { connected } = this;
    if (connected === this.told) return;
    this.told = connected;
    for (const listener of this.statusListeners) listener(connected);
  }
}

/** Everybody takes a Bus, a class with private state; they use of it what SimBus has. */
export function asBus(bus: SimBus): Bus {
  return bus as unknown as Bus;
}

function address(subject: string, token: string | undefined): string {
  return token === undefined ? subject : `${subject}.${token}`;
}
