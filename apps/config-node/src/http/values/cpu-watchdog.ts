import { parentPort, workerData } from 'node:worker_threads';
import { CELL, CPU_LIMIT_SIGNAL, OVER, processCpuMs } from './cpu-limit.ts';

const { cells, limitMs } = workerData as { cells: Int32Array; limitMs: number };
const SHORTEST_REST_MS = 5;

parentPort?.postMessage('started');
for (;;) {
  const task = Atomics.load(cells, CELL.task);
  if (task % 2 === 0) {
    Atomics.wait(cells, CELL.task, task);
    continue;
  }
  const leftMs = limitMs - (processCpuMs() - Atomics.load(cells, CELL.beganMs));
  if (leftMs <= 0 && Atomics.compareExchange(cells, CELL.task, task, OVER) === task) {
    process.kill(process.pid, CPU_LIMIT_SIGNAL);
    break;
  }
  // Threads of the garbage collector let CPU time pass faster than the clock.
  Atomics.wait(cells, CELL.task, task, Math.max(leftMs / 2, SHORTEST_REST_MS));
}
