import { setPriority } from 'node:os';
import { checkValue } from './check-value.ts';
import { CpuLimit } from './cpu-limit.ts';
import type { ValueFault } from './formats/value-fault.ts';
import { type DiffSide, unifiedDiff } from './unified-diff.ts';

/** What a worker is given, one at a time. Imports end in `.ts`: Node runs this file from sources as from the build. */
export type ValueTask =
  | { type: 'check'; contentType: string; value: Uint8Array }
  | { type: 'diff'; from: DiffSide; to: DiffSide };

export type ValueTaskResult =
  | { type: 'check'; fault: ValueFault | undefined }
  | { type: 'diff'; patch: string | undefined };

/** First of all the worker says that it has loaded and watches its CPU time. */
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
  process.send?.(message);
}

const [niceness = 0, cpuMs = 0] = process.argv.slice(2).map(Number);
if (niceness > 0) setPriority(niceness); // who is not root may only go back in line
// Whoever started this process has gone: nobody waits for a result.
process.on('disconnect', () => process.exit());
const limit = new CpuLimit(cpuMs);
process.on('message', (task: ValueTask) => tell(limit.enforce(() => perform(task))));
await limit.started();
tell({ type: 'ready' });
