export interface Repeating {
  /** Stops and waits for a run that is under way. */
  stop(): Promise<void>;
  /** Runs now instead of at the next tick; joins a run that is under way by running once more after it. */
  poke(): void;
}

export interface RepeatOptions {
  everyMs: number;
  /** Told of a run that threw; the next one comes all the same. */
  onError: (error: unknown) => void;
  /** Wait before the first run; 0 by default. */
  firstAfterMs?: number;
}

/** Runs `task` every `everyMs`, never two at once: the wait begins when a run has ended. */
export function repeat(task: () => Promise<void> | void, options: RepeatOptions): Repeating {
  let stopped = false;
  let again = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  const run = async () => {
    do {
      again = false;
      try {
        await task();
      } catch (error) {
        options.onError(error);
      }
    } while (again && !stopped);
  };
  const start = () => {
    if (stopped) return;
    running = run().then(() => {
      running = undefined;
      schedule(options.everyMs);
    });
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
    poke: () => {
      if (running) {
        again = true;
        return;
      }
      clearTimeout(timer);
      start();
    },
  };
}
