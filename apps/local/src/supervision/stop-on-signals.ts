import { classifyFailure, deferred, messageOf } from '#libs/kernel';
import type { LocalCluster } from '../local-cluster.js';
import { duration, type Terminal } from '../terminal.js';

const HARD_LIMIT_MS = 15_000;
const BURIED_WITHIN_MS = 1_000;
/** On Ctrl-C the terminal signals every process of the foreground, and npm then hands on the signal that it got. */
const SAME_SIGNAL_WITHIN_MS = 500;

/**
 * Ctrl-C, SIGTERM or a closed terminal stop the cluster in order, exit 0. A second signal, 15 s, or an error of the
 * program itself end all processes by force, exit 1. Returns what stops the cluster after a failed start, with the
 * same limits.
 */
export function stopOnSignals(options: {
  cluster: LocalCluster;
  killAll: () => void;
  terminal: Terminal;
}): () => Promise<void> {
  const { cluster, killAll, terminal } = options;
  const done = deferred<void>();
  let begunMs: number | undefined;
  let forced = false;

  const giveUp = (why: string) => {
    if (forced) return;
    forced = true;
    terminal.warn(`${why}: ending every process by force`);
    cluster.abandon();
    killAll();
    // Everything is dead now, or cannot die: wait a moment only, so that a next start finds nothing half gone.
    setTimeout(() => process.exit(1), BURIED_WITHIN_MS);
  };
  const stop = (): Promise<void> => {
    if (begunMs !== undefined) return done.promise;
    begunMs = performance.now();
    setTimeout(() => giveUp(`not stopped after ${duration(HARD_LIMIT_MS)}`), HARD_LIMIT_MS).unref();
    cluster.stop().then(done.resolve, done.reject);
    return done.promise;
  };
  const onSignal = (signal: NodeJS.Signals) => {
    const sinceMs = begunMs === undefined ? undefined : performance.now() - begunMs;
    if (sinceMs !== undefined) {
      if (sinceMs > SAME_SIGNAL_WITHIN_MS) giveUp(`${signal} again`);
      return;
    }
    terminal.say(`\n${signal}: stopping`);
    const signalledMs = performance.now();
    stop().then(
      () => {
        if (forced) process.exit(1);
        terminal.say(`stopped after ${duration(performance.now() - signalledMs)}; nothing is left running`);
        process.exit(0);
      },
      (error: unknown) => giveUp(messageOf(error)),
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      const what = error instanceof Error ? String(error.stack) : String(error);
      // A disk or a network that failed is no reason to end processes that run.
      if (classifyFailure(error) === 'expected') terminal.warn(`${what}: the processes go on`);
      else giveUp(what);
    });
  }
  return stop;
}
