import type { Clock } from '../clock.js';
import { type Repeating, type RepeatOptions, repeat } from '../repeat.js';
import { crash } from './crash.js';
import { classifyFailure } from './failure-class.js';

export interface FailureLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

interface Failing {
  /** Nothing is wrong: what the operation needs is still being made. */
  isWaiting: boolean;
  sinceMs: number;
  lastMs: number;
  failures: number;
}

/** An operation that has not failed for so long counts as recovered, whether or not anything reported its success. */
const QUIET_MS = 60_000;

/** Of a cluster that is just being set up: the tables of a service are not there yet. */
const NOT_MIGRATED = 'NotMigrated';

/**
 * Logs what fails and is retried: once at `warn` when an operation begins to fail, once at `info` when it works again,
 * and at `debug` in between. A defect is not logged here: it ends the process.
 */
export class FailureLog {
  private readonly failing = new Map<string, Failing>();

  constructor(
    private readonly logger: FailureLogger,
    private readonly clock: Clock,
    private readonly counted: (operation: string) => void = () => undefined,
  ) {}

  /** `operation` is one of a fixed set of names, a noun phrase: 'renewing leases'. */
  failed(operation: string, error: unknown): void {
    const kind = classifyFailure(error);
    if (kind === 'defect') {
      crash(error);
      return;
    }
    this.counted(operation);
    const nowMs = this.clock.monotonicMs();
    const isWaiting = error instanceof Error && error.name === NOT_MIGRATED;
    const known = this.failing.get(operation);
    const isNew = known === undefined || known.isWaiting !== isWaiting || nowMs - known.lastMs >= QUIET_MS;
    const failing = isNew ? { isWaiting, sinceMs: nowMs, lastMs: nowMs, failures: 0 } : known;
    failing.lastMs = nowMs;
    failing.failures++;
    this.failing.set(operation, failing);
    if (isWaiting) {
      this.logger[isNew ? 'info' : 'debug']({ operation }, `${operation} waits for the tables to be made`);
      return;
    }
    const reason = error instanceof Error ? error.message || error.name : String(error);
    // The stack of an error that no list names is worth its lines.
    const fields = { operation, reason, ...(kind === 'unforeseen' ? { error } : {}) };
    this.logger[isNew ? 'warn' : 'debug'](fields, `${operation} failed, retrying`);
  }

  succeeded(operation: string): void {
    if (this.failing.size === 0) return;
    const failing = this.failing.get(operation);
    if (failing === undefined) return;
    this.failing.delete(operation);
    const { failures, isWaiting, sinceMs } = failing;
    if (isWaiting) return;
    const failedForMs = Math.round(this.clock.monotonicMs() - sinceMs);
    this.logger.info({ operation, failures, failedForMs }, `${operation} succeeded again`);
  }

  /** `repeat` for an operation whose failures are logged here. */
  repeat(
    operation: string,
    task: () => Promise<void> | void,
    options: Omit<RepeatOptions, 'onError'>,
  ): Repeating {
    const run = () => (this.failing.has(operation) ? this.observed(operation, task) : task());
    return repeat(run, { ...options, onError: (error) => this.failed(operation, error) });
  }

  /** A run that ends within its own turn of the event loop found nothing to do: it proves no recovery. */
  private async observed(operation: string, task: () => Promise<void> | void): Promise<void> {
    let hasWaited = false;
    const turn = setImmediate(() => {
      hasWaited = true;
    });
    try {
      await task();
    } finally {
      clearImmediate(turn);
    }
    if (hasWaited) this.succeeded(operation);
  }
}
