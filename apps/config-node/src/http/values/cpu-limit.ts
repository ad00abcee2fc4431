import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** The watchdog ends the process with this signal: its default action is the end, without a core dump. */
export const CPU_LIMIT_SIGNAL = 'SIGVTALRM';

/** Layout of the memory that the watchdog shares: Int32 cells. */
export const CELL = {
  /** Even = no task runs, odd = one runs, OVER = the watchdog ends the process. Every change makes another number. */
  task: 0,
  /** CPU time of the process when the task began, in milliseconds. */
  beganMs: 1,
} as const;
export const OVER = -1;

const WATCHDOG = new URL(
  import.meta.url.endsWith('.ts') ? './cpu-watchdog.ts' : './cpu-watchdog.js',
  import.meta.url,
);

/** CPU time that all threads of this process have used. */
export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return Math.floor((user + system) / 1_000);
}

/**
 * Ends this process when one task uses more than `limitMs` of CPU. The event loop cannot see to that while a parser
 * keeps it, and the clock of the wall would judge the machine's load: a thread of its own reads the CPU time.
 */
export class CpuLimit {
  private readonly cells = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  private readonly watchdog: Worker;

  constructor(limitMs: number) {
    const workerData = { cells: this.cells, limitMs };
    this.watchdog = new Worker(WATCHDOG, { workerData, execArgv: [], stdin: false });
    this.watchdog.unref();
  }

  async started(): Promise<void> {
    await once(this.watchdog, 'message');
  }

  enforce<T>(task: () => T): T {
    const running = Atomics.load(this.cells, CELL.task) + 1;
    Atomics.store(this.cells, CELL.beganMs, processCpuMs());
    Atomics.store(this.cells, CELL.task, running);
    Atomics.notify(this.cells, CELL.task);
    const result = task();
    // A result that comes while the watchdog already ends the process must not be sent: the next task would get the blame.
    const isEnding = Atomics.compareExchange(this.cells, CELL.task, running, running + 1) === OVER;
    if (isEnding) Atomics.wait(this.cells, CELL.task, OVER);
    Atomics.notify(this.cells, CELL.task);
    return result;
  }
}
