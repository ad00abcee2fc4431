import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What is reachable, after everything else was collected. */
export function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  if (typeof gc === 'function') gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
