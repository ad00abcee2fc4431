import { deferred } from '#libs/kernel';
import type { LocalCluster } from './local-cluster.js';
import { duration, type Terminal } from './terminal.js';

const HARD_LIMIT_MS = 15_000;

/**
 * Ctrl-C, SIGTERM or a closed terminal stop the cluster in order, exit 0. A second signal, or 15 s, end all processes
 * by force, exit 1. Returns what stops the cluster after a failed start, with the same limits.
 */
export function stopOnSignals(options: {
  cluster: LocalCluster;
  killAll: () => void;
  terminal: Terminal;
}): () => Promise<void> {
  const { cluster, killAll, terminal } = options;
  const done = deferred<void>();
  let begun = false;

  const giveUp = (why: string) => {
    terminal.complain(`${why}: ending every process by force`);
    killAll();
    process.exit(1);
  };
  const stop = (): Promise<void> => {
    if (begun) return done.promise;
    begun = true;
    setTimeout(() => giveUp(`not stopped after ${duration(HARD_LIMIT_MS)}`), HARD_LIMIT_MS).unref();
    cluster.stop().then(done.resolve, done.reject);
    return done.promise;
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (begun) return giveUp(`${signal} again`);
    terminal.say(`\n${signal}: stopping`);
    const begunMs = performance.now();
    stop().then(
      () => {
        terminal.say(`stopped after ${duration(performance.now() - begunMs)}; nothing is left running`);
        process.exit(0);
      },
      (error: unknown) => giveUp(error instanceof Error ? error.message : String(error)),
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return stop;
}
