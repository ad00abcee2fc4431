import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Problem } from '#libs/contracts';
import { systemClock } from '#libs/kernel';
import type { ValueTask, ValueTaskResult, WorkerMessage } from './value-worker.ts';

/** From sources Node runs the worker as it is; the build has the same file compiled. */
const WORKER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './value-worker.ts' : './value-worker.js', import.meta.url),
);
/** Nothing of what the worker is given lives long. */
const SEMI_SPACE_MB = 8;

export interface LaneOptions {
  /** A task that takes longer loses its worker. */
  taskMs: number;
  /** A task that has waited longer for its turn does not get it: whoever sent it is about to give up. */
  waitMs: number;
  /** Tasks that may wait for the worker. */
  queued: number;
  /** Bytes of values that may wait for the worker. */
  queuedBytes: number;
  /** Heap that a value may take before it is the end of its worker. */
  heapMb: number;
  /** How far behind event loops the worker stands in line for a core, 0-19. */
  niceness: number;
  /** A worker that has had nothing to do for so long is let go. */
  idleMs: number;
}

/** How a task ended that has no result. `failed` and `not-reached` are nothing that the value could help. */
export type TaskFailure = 'timed-out' | 'out-of-memory' | 'failed' | 'not-reached';

interface Waiting {
  task: ValueTask;
  bytes: number;
  sinceMs: number;
  settle: (outcome: ValueTaskResult | TaskFailure) => void;
}

/**
 * One worker and the tasks that wait for it, one at a time. A value that keeps the worker for too long, or takes too
 * much memory, is the end of the worker, and the next task gets a new one. The worker is a process: a thread that
 * runs out of heap in one large allocation takes its whole process along, whatever its resource limits.
 */
export class ValueLane {
  private worker: ChildProcess | undefined;
  private ready = false;
  private current: Waiting | undefined;
  private timer: NodeJS.Timeout | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  private queue: Waiting[] = [];
  private waitingBytes = 0;

  constructor(private readonly options: LaneOptions) {}

  get hasWorker(): boolean {
    return this.worker !== undefined;
  }

  /** Throws `cluster-busy` at once when too much waits already. */
  run(task: ValueTask, bytes: number): Promise<ValueTaskResult | TaskFailure> {
    const { queued, queuedBytes } = this.options;
    if (this.queue.length >= queued || (this.waitingBytes > 0 && this.waitingBytes + bytes > queuedBytes)) {
      throw new Problem('cluster-busy', 'too many values wait to be checked');
    }
    return new Promise((settle) => {
      this.queue.push({ task, bytes, sinceMs: systemClock.monotonicMs(), settle });
      this.waitingBytes += bytes;
      this.next();
    });
  }

  async stop(): Promise<void> {
    const left = this.queue;
    this.queue = [];
    for (const waiting of left) waiting.settle('failed');
    const { worker } = this;
    if (worker === undefined) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    this.giveUp(worker, 'failed');
    await ended;
  }

  private next(): void {
    if (this.current !== undefined) return;
    this.current = this.take();
    if (this.current === undefined) return;
    if (this.worker === undefined) this.start();
    else if (this.ready) this.dispatch(this.worker, this.current);
  }

  /** The next task that is still wanted. */
  private take(): Waiting | undefined {
    const earliestMs = systemClock.monotonicMs() - this.options.waitMs;
    for (;;) {
      const waiting = this.queue.shift();
      if (waiting === undefined) return undefined;
      this.waitingBytes -= waiting.bytes;
      if (waiting.sinceMs >= earliestMs) return waiting;
      waiting.settle('not-reached');
    }
  }

  private dispatch(worker: ChildProcess, { task }: Waiting): void {
    this.timer = setTimeout(() => this.giveUp(worker, 'timed-out'), this.options.taskMs);
    // A worker that can be told nothing any more has ended or is about to, and says so itself.
    worker.send(task, () => undefined);
  }

  private start(): void {
    const { heapMb, niceness } = this.options;
    const worker = fork(WORKER, [String(niceness)], {
      serialization: 'advanced',
      execArgv: [`--max-old-space-size=${heapMb}`, `--max-semi-space-size=${SEMI_SPACE_MB}`],
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    worker.unref();
    worker.channel?.unref();
    worker.on('message', (message: WorkerMessage) => this.receive(worker, message));
    worker.on('error', () => this.giveUp(worker, 'failed'));
    worker.on('exit', (_code, signal) =>
      this.giveUp(worker, signal === 'SIGABRT' ? 'out-of-memory' : 'failed'),
    );
    this.worker = worker;
    this.ready = false;
  }

  private receive(worker: ChildProcess, message: WorkerMessage): void {
    if (this.worker !== worker) return;
    if (message.type !== 'ready') {
      this.settle(message);
      return;
    }
    this.ready = true;
    if (this.current !== undefined) this.dispatch(worker, this.current);
  }

  /** Ends the worker together with whatever it does. */
  private giveUp(worker: ChildProcess, failure: TaskFailure): void {
    if (this.worker !== worker) return;
    this.worker = undefined;
    this.ready = false;
    worker.kill('SIGKILL');
    this.settle(failure);
  }

  private settle(outcome: ValueTaskResult | TaskFailure): void {
    const { current } = this;
    clearTimeout(this.timer);
    this.current = undefined;
    current?.settle(outcome);
    this.next();
    if (this.current === undefined) this.rest();
  }

  private rest(): void {
    clearTimeout(this.idleTimer);
    this.idleTimer = setTimeout(() => {
      if (this.worker !== undefined && this.current === undefined) this.giveUp(this.worker, 'failed');
    }, this.options.idleMs);
    this.idleTimer.unref();
  }
}
