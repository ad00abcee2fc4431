import type { Clock, Rng } from '#libs/kernel';
import type { Planned } from './event-queue.js';

/** What a process knows of the world that it lives in. */
export interface Surroundings {
  readonly nowMs: number;
  readonly wallMs: number;
  /** Whose code runs at this moment. */
  readonly current: SimProcess | undefined;
  rng(purpose: string): Rng;
  in(delayMs: number, run: () => void): Planned;
  inProcess(process: SimProcess, delayMs: number, run: () => void, isTimer: boolean): Planned;
  enter(process: SimProcess, run: () => void): void;
  note(text: string, who?: string): void;
  fail(rule: string, detail: string): void;
}

/**
 * One life of a simulated process. Its code runs only inside `deliver`; a paused process does nothing until it is
 * resumed, when what came meanwhile comes at once: timers first, as an event loop does it. A dead one never does.
 */
export class SimProcess {
  readonly rng: Rng;
  readonly clock: Clock;
  /** Its wall clock against the true one. */
  skewMs: number;
  alive = true;
  private paused = false;
  private lateTimers: Planned[] = [];
  private lateNews: (() => void)[] = [];
  private readonly onDeath = new Set<() => void>();
  private readonly bootMs: number;

  constructor(
    readonly world: Surroundings,
    readonly name: string,
    /** A number that is the same in every life. */
    readonly index: number,
    readonly life: number,
    skewMs: number,
  ) {
    this.rng = world.rng(`${name}/${life}`);
    this.skewMs = skewMs;
    this.bootMs = world.nowMs - this.rng.int(1_000_000);
    this.clock = {
      monotonicMs: () => world.nowMs - this.bootMs,
      wallMs: () => Math.floor(world.wallMs + this.skewMs),
    };
  }

  get isPaused(): boolean {
    return this.paused;
  }

  /** From outside: a message, an answer. */
  deliver(run: () => void): void {
    if (!this.alive) return;
    if (this.paused) this.lateNews.push(run);
    else this.world.enter(this, run);
  }

  deliverIn(delayMs: number, run: () => void): Planned {
    return this.world.inProcess(this, delayMs, run, false);
  }

  timer(delayMs: number, run: () => void): Planned {
    return this.world.inProcess(this, delayMs, run, true);
  }

  /** The time of a timer has come. In a pause it stays possible to clear it. */
  due(timer: Planned): void {
    if (!this.alive) return;
    if (this.paused) {
      this.lateTimers.push(timer);
      return;
    }
    const { run } = timer;
    timer.run = undefined;
    if (run !== undefined) this.world.enter(this, run);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    const timers = this.lateTimers;
    const news = this.lateNews;
    this.lateTimers = [];
    this.lateNews = [];
    for (const timer of timers) this.due(timer);
    for (const run of news) this.deliver(run);
  }

  /** Told when the process is gone: whoever is connected to it notices. Returns how to stop listening. */
  whenDead(listener: () => void): () => void {
    this.onDeath.add(listener);
    return () => this.onDeath.delete(listener);
  }

  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    this.lateTimers = [];
    this.lateNews = [];
    for (const listener of this.onDeath) listener();
    this.onDeath.clear();
  }
}
