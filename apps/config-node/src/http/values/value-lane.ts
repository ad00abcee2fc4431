import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Problem } from '#libs/contracts';
import { systemClock } from '#libs/kernel';
import { CPU_LIMIT_SIGNAL } from './cpu-limit.ts';
import type { ValueTask, ValueTaskResult, WorkerMessage } from './value-worker.ts';

/** From sources Node runs the worker as it is; the build has the same file compiled. */
const WORKER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './value-worker.ts' : './value-worker.js', import.meta.url),
);
/** Nothing of what the worker is given lives long. */
const SEMI_SPACE_MB = 8;

export interface LaneOptions {
  /** CPU time that a task may use before it is the end of its worker. */
  cpuMs: number;
  /** A task that has waited longer for its turn does not get it: whoever sent it is about to give up. */
  waitMs: number;
  /** A task without a result so long after it came is given up, however little CPU its worker got. */
  answerMs: number;
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

/**
 * How a task ended that has no result. The value is to blame for `cpu-limit` and `out-of-memory` alone: `not-reached`
 * waited too long for its turn, and the worker of `starved` got too little CPU on a busy machine.
 */
export type TaskFailure = 'cpu-limit' | 'out-of-memory' | 'failed' | 'not-reached' | 'starved';

interface WaitingTask {
  task: ValueTask;
  bytes: number;
  sinceMs: number;
  settle: (outcome: ValueTaskResult | TaskFailure) => void;
}

/**
 * One worker and the tasks that wait for it, one at a time. A value that uses too much CPU or memory is the end of the
 * worker, which watches its own CPU time, and the next task gets a new one. The worker is a process: a thread that
 * runs out of heap in one large allocation takes its whole process along, whatever its resource limits.
 */
export class ValueLane {
  private worker: ChildProcess | undefined;
  private ready = false;
  private current: WaitingTask | undefined;
  private timer: NodeJS.Timeout | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  private queue: WaitingTask[] = [];
  private waitingBytes = 0;

  constructor(private readonly options: LaneOptions) {}

  get workerPid(): number | undefined {
    return this.worker?.pid;
  }

  /** Throws `cluster-busy` at once when too much waits already. */
  execute(task: ValueTask, bytes: number): Promise<ValueTaskResult | TaskFailure> {
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
    const worker = this.worker ?? this.start();
    const leftMs = this.current.sinceMs + this.options.answerMs - systemClock.monotonicMs();
    this.timer = setTimeout(() => this.giveUp(worker, 'starved'), Math.max(leftMs, 0));
    if (this.ready) this.dispatch(worker, this.current);
  }

  /** The next task that is still wanted. */
  private take(): WaitingTask | undefined {
    const earliestMs = systemClock.monotonicMs() - this.options.waitMs;
    for (;;) {
      const waiting = this.queue.shift();
      if (waiting === undefined) return undefined;
      this.waitingBytes -= waiting.bytes;
      if (waiting.sinceMs >= earliestMs) return waiting;
      waiting.settle('not-reached');
    }
  }

  private dispatch(worker: ChildProcess, { task }: WaitingTask): void {
    // A worker that can be told nothing any more has ended or is about to, and says so itself.
    worker.send(task, () => undefined);
  }

  private start(): ChildProcess {
    const { heapMb, niceness, cpuMs } = this.options;
    const worker = fork(WORKER, [String(niceness), String(cpuMs)], {
      serialization: 'advanced',
      execArgv: [`--max-old-space-size=${heapMb}`, `--max-semi-space-size=${SEMI_SPACE_MB}`],
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    worker.unref();
    worker.channel?.unref();
    worker.on('message', (message: WorkerMessage) => this.receive(worker, message));
    worker.on('error', () => this.giveUp(worker, 'failed'));
    worker.on('exit', (_code, signal) => this.giveUp(worker, failureOf(signal)));
    this.worker = worker;
    this.ready = false;
    return worker;
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

/** What the signal that ended a worker says of its task. */
function failureOf(signal: NodeJS.Signals | null): TaskFailure {
  if (signal === CPU_LIMIT_SIGNAL) return 'cpu-limit';
  return signal === 'SIGABRT' ? 'out-of-memory' : 'failed';
}
