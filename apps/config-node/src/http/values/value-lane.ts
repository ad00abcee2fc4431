import { Worker } from 'node:worker_threads';
import { Problem } from '#libs/contracts';
import { systemClock } from '#libs/kernel';
import type { ValueTask, ValueTaskResult, WorkerMessage } from './value-worker.ts';

/** From sources Node runs the worker as it is; the build has the same file compiled. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './value-worker.ts' : './value-worker.js',
  import.meta.url,
);

export interface LaneOptions {
  /** A task that takes longer loses its worker. */
  taskMs: number;
  /** A task that has waited longer for its turn does not get it: whoever sent it is about to give up. */
  waitMs: number;
  /** Tasks that may wait for the worker. */
  queued: number;
  /** Bytes of values that may wait for the worker. */
  queuedBytes: number;
  /** Heap that a value may take before its worker is given up. */
  heapMb: number;
  /** How far behind event loops the worker stands in line for a core, 0-19. */
  niceness: number;
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
 * One worker thread and the tasks that wait for it, one at a time. A value that keeps the worker for too long, or
 * takes too much memory, is the end of the worker, not of the process; the next task gets a new one.
 */
export class ValueLane {
  private worker: Worker | undefined;
  private ready = false;
  private current: Waiting | undefined;
  private timer: NodeJS.Timeout | undefined;
  private queue: Waiting[] = [];
  private waitingBytes = 0;

  constructor(private readonly options: LaneOptions) {}

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
    await this.worker?.terminate();
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

  private dispatch(worker: Worker, { task }: Waiting): void {
    this.timer = setTimeout(() => this.giveUp(worker, 'timed-out'), this.options.taskMs);
    if (task.type === 'diff') {
      worker.postMessage(task);
      return;
    }
    // A copy of its own: cloning a view would copy all of the memory that it is a part of.
    const value = new Uint8Array(task.value);
    worker.postMessage({ ...task, value }, [value.buffer]);
  }

  private start(): void {
    const worker = new Worker(WORKER, {
      resourceLimits: { maxOldGenerationSizeMb: this.options.heapMb },
      execArgv: [],
      workerData: { niceness: this.options.niceness },
    });
    worker.unref();
    worker.on('message', (message: WorkerMessage) => this.receive(worker, message));
    worker.on('error', (error: NodeJS.ErrnoException) =>
      this.giveUp(worker, error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out-of-memory' : 'failed'),
    );
    worker.on('exit', () => this.giveUp(worker, 'failed'));
    this.worker = worker;
    this.ready = false;
  }

  private receive(worker: Worker, message: WorkerMessage): void {
    if (this.worker !== worker) return;
    if (message.type !== 'ready') {
      this.settle(message);
      return;
    }
    this.ready = true;
    if (this.current !== undefined) this.dispatch(worker, this.current);
  }

  /** Ends the worker together with whatever it does. */
  private giveUp(worker: Worker, failure: TaskFailure): void {
    if (this.worker !== worker) return;
    this.worker = undefined;
    this.ready = false;
    worker.terminate().catch(() => undefined);
    this.settle(failure);
  }

  private settle(outcome: ValueTaskResult | TaskFailure): void {
    const { current } = this;
    clearTimeout(this.timer);
    this.current = undefined;
    current?.settle(outcome);
    this.next();
  }
}
