import { withTimeout } from '#libs/kernel';
import type { Logger } from '#libs/observability';

const HARD_LIMIT_MS = 15_000;

/**
 * SIGTERM, SIGINT, or the end of the parent's IPC channel: stop gracefully, exit 0. A second signal, or 15 s: exit 1.
 * Correctness never depends on any of this. Returns what begins such a stop for another reason.
 */
export function stopOnSignals(stop: () => Promise<void>, logger: Logger): (why: string) => void {
  let stopping = false;
  const begin = (why: string) => {
    if (stopping) {
      logger.warn({ why }, 'stop requested twice: exiting at once');
      process.exit(1);
    }
    stopping = true;
    logger.info({ why }, 'stopping');
    withTimeout(stop(), HARD_LIMIT_MS, 'a graceful stop').then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ error }, 'graceful stop failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => begin('SIGTERM'));
  process.on('SIGINT', () => begin('SIGINT'));
  if (process.channel) {
    process.on('disconnect', () => {
      if (!stopping) begin('parent gone');
    });
  }
  return (why) => {
    if (!stopping) begin(why);
  };
}

/** An error that was not caught, a broken invariant above all, leaves the process in an unknown state: it ends with 1. */
export function crashOnUncaught(logger: Logger): void {
  const crash = (what: string) => (error: unknown) => {
    logger.fatal({ error }, what);
    process.exit(1);
  };
  process.on('uncaughtException', crash('uncaught exception'));
  process.on('unhandledRejection', crash('unhandled rejection'));
}

/** Tells a supervising parent that this process serves. */
export function announceReady(): void {
  process.send?.({ type: 'ready' });
}
