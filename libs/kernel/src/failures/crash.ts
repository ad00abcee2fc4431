import { isDefect } from './failure-class.js';

/**
 * Ends the process: the error is thrown where no `catch` and no promise can swallow it. The process logs it at fatal and
 * exits with 1, and its supervisor starts a fresh one.
 */
export function crash(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** For every place that goes on after an error: goes on after a failure of something else, never after a defect. */
export function crashOnDefect(error: unknown): void {
  if (isDefect(error)) crash(error);
}
