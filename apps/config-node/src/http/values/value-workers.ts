import { Problem } from '#libs/contracts';
import type { DiffSide } from './unified-diff.ts';
import { type TaskFailure, ValueLane } from './value-lane.js';
import type { ValueTask, ValueTaskResult } from './value-worker.ts';

/** Values up to this size have a worker to themselves: no large or hostile one can keep them waiting. */
const SMALL_BYTES = 32 * 1024;
const CPU_MS = 1_000;
/** Both are less than a write may take as a whole. */
const WAIT_MS = 3_500;
const ANSWER_MS = 4_500;
/** A process takes some 50 ms to start: small values, which are the rule, seldom wait for that. */
const SMALL_IDLE_MS = 600_000;
const LARGE_IDLE_MS = 60_000;
const MB = 1024 * 1024;

/** Types whose values have a form to be checked. */
const FORMED = new Set([
  'application/json',
  'application/yaml',
  'application/toml',
  'text/x-java-properties',
]);

/** What a value did to the worker that read it. */
type ValueFailure = Extract<TaskFailure, 'cpu-limit' | 'out-of-memory'>;

/**
 * Everything that is done to the text of values: in processes of its own, bounded in CPU time, memory and number. A legal
 * value of 1 MiB can keep a parser busy for seconds; on the event loop that would cost a leader its office.
 */
export class ValueWorkers {
  private readonly small = new ValueLane({
    cpuMs: CPU_MS,
    waitMs: WAIT_MS,
    answerMs: ANSWER_MS,
    queued: 4_096,
    queuedBytes: 32 * MB,
    heapMb: 64,
    niceness: 0,
    idleMs: SMALL_IDLE_MS,
  });
  private readonly large = new ValueLane({
    cpuMs: CPU_MS,
    waitMs: WAIT_MS,
    answerMs: ANSWER_MS,
    queued: 64,
    queuedBytes: 32 * MB,
    heapMb: 192,
    niceness: 10,
    idleMs: LARGE_IDLE_MS,
  });

  /**
   * Throws 422 `invalid-value` unless the bytes are a value of their type, 429 `cluster-busy` when the machine is too
   * busy to say. `where` names the value in a change set.
   */
  async check(contentType: string, value: Buffer, where: Record<string, unknown> = {}): Promise<void> {
    if (!FORMED.has(contentType)) return;
    const outcome = await this.run({ type: 'check', contentType, value }, value.length);
    if (typeof outcome === 'string') {
      throw new Problem('invalid-value', `as ${contentType} the value ${FAILED[outcome]}`, where);
    }
    if (outcome.type !== 'check' || outcome.fault === undefined) return;
    const { reason, line, column } = outcome.fault;
    const place = line === null ? '' : ` at line ${line}, column ${column}`;
    throw new Problem('invalid-value', `not well-formed ${contentType}${place}: ${reason}`, {
      ...where,
      reason,
      line,
      column,
    });
  }

  /** Throws 422 `diff-too-large`, or 429 `cluster-busy` when the machine is too busy to say. */
  async diff(from: DiffSide, to: DiffSide): Promise<string> {
    const outcome = await this.run({ type: 'diff', from, to }, from.text.length + to.text.length);
    if (typeof outcome === 'object' && outcome.type === 'diff' && outcome.patch !== undefined) {
      return outcome.patch;
    }
    throw new Problem('diff-too-large', 'the two versions have too little in common for a difference');
  }

  async stop(): Promise<void> {
    await Promise.all([this.small.stop(), this.large.stop()]);
  }

  private async run(task: ValueTask, bytes: number): Promise<ValueTaskResult | ValueFailure> {
    const outcome = await (bytes <= SMALL_BYTES ? this.small : this.large).execute(task, bytes);
    if (outcome === 'failed') throw new Error('the worker that reads values has gone');
    if (outcome === 'not-reached') throw new Problem('cluster-busy', 'too many values wait to be read');
    if (outcome === 'starved') {
      throw new Problem('cluster-busy', 'the machine is too busy to read the value in time');
    }
    return outcome;
  }
}

const FAILED: Readonly<Record<ValueFailure, string>> = {
  'cpu-limit': `takes more than ${CPU_MS / 1_000} s of CPU time to read`,
  'out-of-memory': 'takes too much memory to read',
};
