import { Planned } from './event-queue.js';
import type { World } from './world.js';

/*
 * Production code takes its time from a Clock and waits by the timers of the platform. Here the timers of the platform
 * are those of the process whose code runs; outside of any process they are the real ones. This module is imported
 * before everything else.
 */
const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setImmediate: globalThis.setImmediate,
  Date: globalThis.Date,
  random: Math.random,
  now: performance.now.bind(performance),
};

let world: World | undefined;

/** The world that runs now; there is one at a time. */
export function theWorld(): World {
  if (world === undefined) throw new Error('no simulation runs');
  return world;
}

export function enterWorld(next: World | undefined): void {
  world = next;
}

/** Real time, for progress and measurements. */
export const realNowMs = real.now;
export const realSetImmediate = real.setImmediate;

class VirtualInterval {
  event: Planned | undefined;
  unref(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
}

function virtualTimeout(run: (...values: unknown[]) => void, ms = 0, ...values: unknown[]): unknown {
  const process = world?.current;
  if (process === undefined) return real.setTimeout(run, ms, ...values);
  return process.timer(Math.max(ms, 1), values.length === 0 ? run : () => run(...values));
}

function virtualInterval(run: (...values: unknown[]) => void, ms = 0, ...values: unknown[]): unknown {
  const process = world?.current;
  if (process === undefined) throw new Error('an interval outside of any simulated process');
  const interval = new VirtualInterval();
  const turn = () => {
    interval.event = process.timer(Math.max(ms, 1), turn);
    run(...values);
  };
  interval.event = process.timer(Math.max(ms, 1), turn);
  return interval;
}

function virtualImmediate(run: (...values: unknown[]) => void, ...values: unknown[]): unknown {
  const process = world?.current;
  if (process === undefined) return real.setImmediate(run, ...values);
  return process.timer(0, values.length === 0 ? run : () => run(...values));
}

function clearVirtual(timer: unknown): void {
  if (timer instanceof Planned) timer.run = undefined;
  else if (timer instanceof VirtualInterval) {
    if (timer.event !== undefined) timer.event.run = undefined;
    timer.event = undefined;
  } else if (timer !== undefined) real.clearTimeout(timer as NodeJS.Timeout);
}

/** Those of the platform cost as much as everything else that a write of a client does on its way to the queue. */
class VirtualSignal {
  aborted = false;
  reason: unknown;
  private listeners: (() => void)[] = [];
  addEventListener(_type: string, listener: () => void): void {
    this.listeners.push(listener);
  }
  removeEventListener(_type: string, listener: () => void): void {
    const at = this.listeners.indexOf(listener);
    if (at >= 0) this.listeners.splice(at, 1);
  }
  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const { listeners } = this;
    this.listeners = [];
    for (const listener of listeners) listener();
  }
}

class VirtualAbortController {
  readonly signal = new VirtualSignal();
  abort(reason: unknown = new Error('aborted')): void {
    this.signal.abort(reason);
  }
}

class VirtualDate extends real.Date {
  constructor(...values: []) {
    if (values.length === 0 && world?.current !== undefined) super(world.current.clock.wallMs());
    else super(...values);
  }
  static override now(): number {
    return world?.current?.clock.wallMs() ?? real.Date.now();
  }
}

Object.assign(globalThis, {
  setTimeout: virtualTimeout,
  setInterval: virtualInterval,
  setImmediate: virtualImmediate,
  clearTimeout: clearVirtual,
  clearInterval: clearVirtual,
  clearImmediate: clearVirtual,
  Date: VirtualDate,
  AbortController: VirtualAbortController,
});
Math.random = () => world?.current?.rng.next() ?? real.random();
performance.now = () => world?.current?.clock.monotonicMs() ?? real.now();
