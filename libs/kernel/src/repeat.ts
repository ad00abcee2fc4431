import { crashOnDefect } from './failures/crash.js';

export interface Repeating {
  /** Stops and waits for a run that is under way. */
  stop(): Promise<void>;
  /** Runs now instead of at the next tick; joins a run that is under way by running once more after it. */
  trigger(): void;
}

export interface RepeatOptions {
  everyMs: number;
  /** Called with the error of a run that threw; the next run comes all the same. A defect ends the process as well. */
  onError: (error: unknown) => void;
  /** Wait before the first run; 0 by default. */
  firstAfterMs?: number;
}

/** Runs `task` every `everyMs`, never two at once: the wait begins when a run has ended. */
export function repeat(task: () => Promise<void> | void, options: RepeatOptions): Repeating {
  let stopped = false;
  let again = false;
  let isRunning = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  /** Most runs of most tasks find nothing to do: what is done at once costs no promise. */
  const begin = (): Promise<void> | void => {
    again = false;
    try {
      return task();
    } catch (error) {
      failed(error);
    }
  };
  const failed = (error: unknown) => {
    crashOnDefect(error);
    options.onError(error);
  };
  const finish = async (begun: Promise<void> | void) => {
    for (let run: Promise<void> | void = begun; ; run = begin()) {
      if (run !== undefined) {
        try {
          await run;
        } catch (error) {
          failed(error);
        }
      }
      if (!again || stopped) return;
    }
  };
  const start = () => {
    if (stopped) return;
    isRunning = true;
    const begun = begin();
    if (begun === undefined && !again) {
      over();
      return;
    }
    running = finish(begun).then(over);
  };
  const over = () => {
    running = undefined;
    isRunning = false;
    schedule(options.everyMs);
  };
  const schedule = (ms: number) => {
    if (!stopped) timer = setTimeout(start, ms);
  };
  schedule(options.firstAfterMs ?? 0);

  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
    trigger: () => {
      if (isRunning) {
        again = true;
        return;
      }
      clearTimeout(timer);
      start();
    },
  };
}
