import { join } from 'node:path';
import { type Clock, type Rng, systemClock, systemRng } from '#libs/kernel';
import { LogFile } from '../files/log-file.js';
import type { RunFolder } from '../files/run-folder.js';
import { duration, type Terminal } from '../terminal.js';
import { type Launch, Supervised, type SupervisorEvents } from './supervised.js';

/** Time for gateways, nodes and services together to drain; what is left of 15 s is for the servers. */
const DRAIN_WITHIN_MS = 10_000;
/** What a group has in any case, when those before it were stuck. */
const LEAST_GRACE_MS = 1_500;

/** All supervised children: their logs, their pids, and what the user is told of them. */
export class Children implements SupervisorEvents {
  private readonly supervised = new Map<string, Supervised>();
  private readonly waitedFor = new Set<string>();
  private readonly logs = new Map<string, LogFile>();
  private quiet = false;

  constructor(
    private readonly around: {
      runFolder: RunFolder;
      logFolder: string;
      terminal: Terminal;
      clock?: Clock;
      rng?: Rng;
    },
  ) {}

  /** Starts a child and keeps it running. Resolves when it is ready for the first time. */
  supervise(name: string, launch: Launch, options: { firstStartMustSucceed: boolean }): Promise<void> {
    const { clock = systemClock, rng = systemRng } = this.around;
    const child = new Supervised(name, launch, { events: this, clock, rng, ...options });
    this.supervised.set(name, child);
    this.waitedFor.add(name);
    return child.start();
  }

  get(name: string): Supervised | undefined {
    return this.supervised.get(name);
  }

  /** Those that have not been ready yet. */
  starting(): string[] {
    return [...this.waitedFor];
  }

  logOf(name: string): LogFile {
    let log = this.logs.get(name);
    if (!log) {
      log = new LogFile(join(this.around.logFolder, `${name}.log`));
      this.logs.set(name, log);
    }
    return log;
  }

  /** Nobody is started again from now on. */
  abandon(): void {
    this.quiet = true;
    for (const child of this.supervised.values()) child.abandon();
  }

  /** Stops group after group; the members of a group together. Those that are stuck leave the others their time. */
  async stop(groups: readonly (readonly string[])[]): Promise<void> {
    this.abandon();
    const { clock = systemClock } = this.around;
    const untilMs = clock.monotonicMs() + DRAIN_WITHIN_MS;
    for (const group of groups) {
      const graceMs = Math.max(LEAST_GRACE_MS, untilMs - clock.monotonicMs());
      await Promise.all(group.map((name) => this.supervised.get(name)?.stop(graceMs)));
    }
  }

  /** A service that has to be killed has a fault that somebody should see. */
  stuck(name: string): void {
    this.around.terminal.warn(`  ${name.padEnd(11)} did not stop in time: ended by force`);
  }

  spawned(name: string, pid: number): void {
    this.around.runFolder.began(name, pid);
  }

  ready(name: string, tookMs: number, restarts: number): void {
    this.waitedFor.delete(name);
    if (this.quiet) return;
    const what = restarts === 0 ? 'ready' : 'back ';
    this.around.terminal.say(`  ${name.padEnd(11)} ${what}  ${duration(tookMs).padStart(7)}`);
  }

  ended(name: string): void {
    this.around.runFolder.ended(name);
  }

  restarting(name: string, why: string, delayMs: number): void {
    const log = join(this.around.logFolder, `${name}.log`);
    this.around.terminal.warn(
      `  ${name.padEnd(11)} ${why}; starting it again in ${duration(delayMs)} (${log})`,
    );
  }
}
