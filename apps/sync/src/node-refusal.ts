import { Problem } from '#libs/contracts';
import type { SyncFailure } from './domain/sync-action.js';

/** Longest wait that a node may ask for. */
const MAX_RETRY_AFTER_MS = 60_000;

/** A node answered, but not what was asked for. */
export class NodeRefusal extends Error {
  override readonly name = 'NodeRefusal';

  constructor(
    readonly status: number,
    readonly retryAfterMs: number | undefined,
    problem: Problem | undefined,
  ) {
    super(problem?.message ?? `status ${status}`, { cause: problem });
  }
}

export class NoAnswerInTime extends Error {
  override readonly name = 'NoAnswerInTime';

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
  }
}

/** Of a Retry-After header in seconds; undefined when there is none, or it is a date. */
export function retryAfterMs(header: string | string[] | undefined): number | undefined {
  const seconds = typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) : undefined;
  return seconds === undefined ? undefined : Math.min(seconds * 1_000, MAX_RETRY_AFTER_MS);
}

export function failureOf(error: unknown): SyncFailure {
  if (error instanceof NoAnswerInTime) return { reason: 'timed-out' };
  if (error instanceof NodeRefusal) return ofStatus(error.status, error.retryAfterMs);
  if (error instanceof Problem) return ofStatus(error.status, retryAfterMs(error.headers()['retry-after']));
  return { reason: 'unreachable' };
}

function ofStatus(status: number, waitMs: number | undefined): SyncFailure {
  if (status === 429) return { reason: 'busy', retryAfterMs: waitMs };
  return { reason: status === 413 ? 'too-large' : 'refused', retryAfterMs: waitMs };
}
