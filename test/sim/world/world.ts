import { type Rng, seededRng } from '#libs/kernel';
import { EventQueue, type Planned } from './event-queue.js';
import type { SimProcess, Surroundings } from './process.js';
import { Trace } from './trace.js';

/** Something that must never be: it ends the run. */
export class Violation extends Error {
  override readonly name = 'Violation';

  constructor(
    readonly rule: string,
    readonly detail: string,
  ) {
    super(`${rule}: ${detail}`);
  }
}

/** 2027-01-15: incarnations are wall clocks, and must look like some. */
const EPOCH_MS = 1_800_000_000_000;

/**
 * Time, chance and order of one run. Nothing happens but by an event of the queue, and everything that an event
 * brings about inside its process (promises included) is done before the next one: the same seed gives the same run.
 */
export class World implements Surroundings {
  readonly trace = new Trace();
  readonly queue = new EventQueue();
  readonly processes = new Map<string, SimProcess>();
  nowMs = 0;
  /** Whose code runs at this moment. */
  current: SimProcess | undefined;
  events = 0;
  violation: Violation | undefined;

  constructor(
    readonly seed: number,
    private readonly drainMicrotasks: () => void,
  ) {}

  /** A stream of chance of its own for each purpose: what one draws does not change what another does. */
  rng(purpose: string): Rng {
    let hash = this.seed;
    for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193);
    return seededRng(hash);
  }

  get wallMs(): number {
    return EPOCH_MS + this.nowMs;
  }

  /** Outside all processes: the network, the database, faults. */
  in(delayMs: number, run: () => void): Planned {
    return this.queue.add(this.nowMs + Math.max(0, delayMs), run, undefined, false);
  }

  /** In a process: what comes from outside, or one of its timers. */
  inProcess(process: SimProcess, delayMs: number, run: () => void, isTimer: boolean): Planned {
    return this.queue.add(this.nowMs + Math.max(0, delayMs), run, process, isTimer);
  }

  note(text: string, who = 'world'): void {
    this.trace.line(this.nowMs, who, text);
  }

  fail(rule: string, detail: string): void {
    this.violation ??= new Violation(rule, detail);
  }

  /** Until then, or until something is found that must not be. */
  runUntil(untilMs: number): void {
    while (this.violation === undefined) {
      const next = this.queue.next();
      if (next === undefined || next.atMs > untilMs) break;
      this.queue.take(next);
      const { run, process } = next;
      if (run === undefined) continue;
      this.nowMs = next.atMs;
      this.events++;
      if (process === undefined) run();
      else if (next.isTimer) process.due(next);
      else process.deliver(run);
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /** Runs code of a process, up to the last of the promises that it settles. */
  enter(process: SimProcess, run: () => void): void {
    this.trace.mix(process.index * 7_919 + ((this.nowMs * 1_000) | 0));
    const outer = this.current;
    this.current = process;
    try {
      run();
      this.drainMicrotasks();
    } catch (error) {
      this.fail(
        'a process broke',
        `${process.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    } finally {
      this.current = outer;
    }
  }
}
