import { setTimeout as wait } from 'node:timers/promises';
import type { ServerExit } from '#libs/embedded-servers';
import { type Clock, type Deferred, deferred, messageOf, type Rng } from '#libs/kernel';
import { decideRestart } from '../domain/restart-policy.js';

const LATE_STOP_GRACE_MS = 2_000;

/** A child that is ready. */
export interface Launched {
  readonly exited: Promise<ServerExit>;
  /** Ends it in an orderly way, or by force after `graceMs`; 0 = at once. A server keeps to a time of its own. */
  stop(graceMs: number): Promise<void>;
}

export interface LaunchHooks {
  onSpawned: (pid: number) => void;
  /** Aborted when the child is no longer wanted, also while it starts. */
  signal: AbortSignal;
}

/** Starts the child and resolves when it is ready; rejects, leaving nothing behind, when it ends before that. */
export type Launch = (hooks: LaunchHooks) => Promise<Launched>;

export interface SupervisorEvents {
  spawned(name: string, pid: number): void;
  ready(name: string, tookMs: number, restarts: number): void;
  ended(name: string): void;
  restarting(name: string, why: string, delayMs: number): void;
}

/** `not-running`: it is being started, or rests before that. */
export type ProcessEnd = 'ended' | 'not-running';

/** Keeps one child running: starts it again whenever it ends, until stopped. */
export class Supervised {
  private readonly unwanted = new AbortController();
  private readonly first: Deferred<void> = deferred();
  private current: Launched | undefined;
  private running: Promise<void> | undefined;
  private restarts = 0;
  private onPurpose = false;

  constructor(
    readonly name: string,
    private readonly launch: Launch,
    private readonly options: {
      events: SupervisorEvents;
      clock: Clock;
      rng: Rng;
      /** A first start that fails is final: the cause lies in this machine, and its message says what. */
      firstStartMustSucceed: boolean;
    },
  ) {}

  /** Resolves when the child is ready for the first time. */
  start(): Promise<void> {
    this.running = this.keepRunning();
    return this.first.promise;
  }

  /** Ready, and how often it was started again. */
  get state(): { ready: boolean; restarts: number } {
    return { ready: this.current !== undefined && !this.onPurpose, restarts: this.restarts };
  }

  /** Ends the child in good order and starts it again at once: that is no failure. */
  async replace(graceMs: number): Promise<ProcessEnd> {
    const { current } = this;
    if (!current || this.onPurpose || this.unwanted.signal.aborted) return 'not-running';
    this.onPurpose = true;
    await current.stop(graceMs);
    return 'ended';
  }

  /** Ends the child by force. It is started again like one that crashed: after a rest, when it did so before. */
  async kill(): Promise<ProcessEnd> {
    if (!this.current) return 'not-running';
    await this.current.stop(0);
    return 'ended';
  }

  /** From now on an end is final. A child that is just starting is ended at once. */
  abandon(): void {
    this.unwanted.abort();
  }

  async stop(graceMs: number): Promise<void> {
    this.abandon();
    await this.current?.stop(graceMs);
    await this.running;
  }

  private async keepRunning(): Promise<void> {
    const { events, clock, rng } = this.options;
    let failures = 0;
    while (!this.unwanted.signal.aborted) {
      const begunMs = clock.monotonicMs();
      const why = await this.runOnce(begunMs);
      events.ended(this.name);
      if (why === undefined || this.unwanted.signal.aborted) break;
      if (this.onPurpose) {
        this.onPurpose = false;
        this.restarts++;
        continue;
      }
      const decision = decideRestart(failures, clock.monotonicMs() - begunMs, rng);
      failures = decision.failures;
      this.restarts++;
      events.restarting(this.name, why, decision.delayMs);
      await this.rest(decision.delayMs);
    }
    this.first.resolve();
  }

  /** Why the child ended; undefined when it is not to be started again. */
  private async runOnce(begunMs: number): Promise<string | undefined> {
    const { events, clock, firstStartMustSucceed } = this.options;
    try {
      this.current = await this.launch({
        onSpawned: (pid) => events.spawned(this.name, pid),
        signal: this.unwanted.signal,
      });
    } catch (error) {
      if (this.unwanted.signal.aborted) return undefined;
      if (firstStartMustSucceed && this.restarts === 0) {
        this.first.reject(error);
        return undefined;
      }
      return messageOf(error);
    }
    // Told to stop in the very last moment of the start, when there was no child to stop yet.
    if (this.unwanted.signal.aborted) await this.current.stop(LATE_STOP_GRACE_MS);
    events.ready(this.name, clock.monotonicMs() - begunMs, this.restarts);
    this.first.resolve();
    const exit = await this.current.exited;
    this.current = undefined;
    return exit.signal ? `ended by ${exit.signal}` : `ended with exit code ${exit.code}`;
  }

  private async rest(ms: number): Promise<void> {
    try {
      // Unlike the kernel's sleep this one keeps the process alive, which may have no other child left.
      await wait(ms, undefined, { signal: this.unwanted.signal });
    } catch (error) {
      if (!this.unwanted.signal.aborted) throw error;
    }
  }
}
