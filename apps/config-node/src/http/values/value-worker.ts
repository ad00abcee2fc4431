import { setPriority } from 'node:os';
import { platform } from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { checkValue } from './check-value.ts';
import { type DiffSide, unifiedDiff } from './unified-diff.ts';
import type { ValueFault } from './value-fault.ts';

/** What a worker is given, one at a time. Imports end in `.ts`: Node runs this file from sources as from the build. */
export type ValueTask =
  | { type: 'check'; contentType: string; value: Uint8Array }
  | { type: 'diff'; from: DiffSide; to: DiffSide };

export type ValueTaskResult =
  | { type: 'check'; fault: ValueFault | undefined }
  | { type: 'diff'; patch: string | undefined };

/** First of all the worker says that it has loaded: the time of a task runs from there. */
export type WorkerMessage = { type: 'ready' } | ValueTaskResult;

function perform(task: ValueTask): ValueTaskResult {
  if (task.type === 'diff') return { type: 'diff', patch: unifiedDiff(task.from, task.to) };
  try {
    return { type: 'check', fault: checkValue(task.contentType, task.value) };
  } catch (error) {
    // A parser that breaks on a value (a stack that is too small for it, say) has not read it.
    const reason = error instanceof Error ? error.message : String(error);
    return { type: 'check', fault: { reason, line: null, column: null } };
  }
}

function tell(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

const { niceness }: { niceness: number } = workerData;
// On Linux a priority is the thread's own; elsewhere it would be the whole process's.
if (platform === 'linux' && niceness > 0) setPriority(niceness);
parentPort?.on('message', (task: ValueTask) => tell(perform(task)));
tell({ type: 'ready' });
