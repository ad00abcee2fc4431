import type { Rng } from '#libs/kernel';
import type { Network } from './network.js';
import type { SimProcess } from './process.js';
import type { World } from './world.js';

export interface Message {
  subject: string;
  payload: unknown;
  /** For questions: takes the answer back to whoever asked. */
  reply: ((answer: { reply: unknown } | { problem: unknown }) => void) | undefined;
}

export interface Subscription {
  process: SimProcess;
  subject: string;
  queue: string | undefined;
  handle: (message: Message) => void;
}

/** What happens to messages while a fault lasts, each with its probability. */
export interface BusFaults {
  lost: number;
  doubled: number;
  /** Delayed by up to a second, so that later ones overtake it. */
  late: number;
}

const NO_FAULTS: BusFaults = { lost: 0, doubled: 0, late: 0 };
const LATE_MS = 1_000;
export const BUS = 'bus';

/** The message bus: at most once, in order from one sender to one receiver, unless a fault says otherwise. */
export class Broker {
  faults: BusFaults = NO_FAULTS;
  isUp = true;
  private readonly bySubject = new Map<string, Subscription[]>();
  private readonly rng: Rng;
  private readonly lastAtMs = new Map<number, number>();
  private readonly onChange = new Set<() => void>();

  constructor(
    private readonly world: World,
    readonly network: Network,
  ) {
    this.rng = world.rng('bus');
  }

  whenChanged(listener: () => void): void {
    this.onChange.add(listener);
  }

  setUp(isUp: boolean): void {
    this.isUp = isUp;
    for (const listener of this.onChange) listener();
  }

  reaches(process: SimProcess): boolean {
    return this.isUp && this.network.joined(process.name, BUS);
  }

  subscribe(subscription: Subscription): () => void {
    const all = this.bySubject.get(subscription.subject) ?? [];
    all.push(subscription);
    this.bySubject.set(subscription.subject, all);
    return () => {
      const left = (this.bySubject.get(subscription.subject) ?? []).filter((other) => other !== subscription);
      this.bySubject.set(subscription.subject, left);
    };
  }

  /** How many were there to hear it. */
  publish(from: SimProcess, message: Message): number {
    if (!this.isUp || !this.network.passes(from.name, BUS)) return 0;
    const all = this.bySubject.get(message.subject);
    if (all === undefined) return 0;
    let heard = 0;
    const queues = new Map<string, Subscription[]>();
    for (const subscription of all) {
      if (!subscription.process.alive) continue;
      heard++;
      if (subscription.queue === undefined) this.send(from, subscription, message);
      else {
        const members = queues.get(subscription.queue);
        if (members === undefined) queues.set(subscription.queue, [subscription]);
        else members.push(subscription);
      }
    }
    for (const members of queues.values()) {
      const reachable = members.filter(({ process }) => this.network.passes(BUS, process.name));
      const chosen = reachable[this.rng.int(Math.max(1, reachable.length))];
      if (chosen !== undefined) this.send(from, chosen, message);
    }
    return heard;
  }

  /** From a responder straight back to whoever asked, under the same conditions. */
  answer(from: SimProcess, to: SimProcess, run: () => void): void {
    if (!this.reaches(from) || !this.reaches(to)) return;
    if (this.rng.next() < this.faults.lost) return;
    to.deliverIn(this.network.delayMs(from.name, BUS) + this.network.delayMs(BUS, to.name), run);
  }

  /** Takes away what dead processes had subscribed to. */
  tidy(): void {
    for (const [subject, all] of this.bySubject) {
      this.bySubject.set(
        subject,
        all.filter(({ process }) => process.alive),
      );
    }
  }

  private send(from: SimProcess, to: Subscription, message: Message): void {
    const { lost, doubled, late } = this.faults;
    if (lost > 0 && this.rng.next() < lost) return;
    if (doubled > 0 && this.rng.next() < doubled) this.deliver(from, to, message, this.rng.next() * LATE_MS);
    const lateMs = late > 0 && this.rng.next() < late ? this.rng.next() * LATE_MS : 0;
    this.deliver(from, to, message, lateMs);
  }

  private deliver(from: SimProcess, to: Subscription, message: Message, lateMs: number): void {
    const { world, network } = this;
    const key = from.index * 64 + to.process.index;
    const dueMs =
      world.nowMs + network.delayMs(from.name, BUS) + network.delayMs(BUS, to.process.name) + lateMs;
    const atMs = lateMs > 0 ? dueMs : Math.max(dueMs, this.lastAtMs.get(key) ?? 0);
    if (lateMs === 0) this.lastAtMs.set(key, atMs);
    to.process.deliverIn(atMs - world.nowMs, () => {
      if (this.reaches(to.process)) to.handle(message);
    });
  }
}
