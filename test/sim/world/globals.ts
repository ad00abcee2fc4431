import type { Planned } from './event-queue.js';
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

class VirtualTimer {
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
  const timer = new VirtualTimer();
  timer.event = process.timer(Math.max(ms, 1), () => run(...values));
  return timer;
}

function virtualInterval(run: (...values: unknown[]) => void, ms = 0, ...values: unknown[]): unknown {
  const process = world?.current;
  if (process === undefined) throw new Error('an interval outside of any simulated process');
  const timer = new VirtualTimer();
  const again = () => {
    timer.event = process.timer(Math.max(ms, 1), () => {
      again();
      run(...values);
    });
  };
  again();
  return timer;
}

function virtualImmediate(run: (...values: unknown[]) => void, ...values: unknown[]): unknown {
  const process = world?.current;
  if (process === undefined) return real.setImmediate(run, ...values);
  const timer = new VirtualTimer();
  timer.event = process.timer(0, () => run(...values));
  return timer;
}

function clearVirtual(timer: unknown): void {
  if (timer instanceof VirtualTimer) {
    if (timer.event !== undefined) timer.event.run = undefined;
    timer.event = undefined;
  } else if (timer !== undefined) real.clearTimeout(timer as NodeJS.Timeout);
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
});
Math.random = () => world?.current?.rng.next() ?? real.random();
performance.now = () => world?.current?.clock.monotonicMs() ?? real.now();
