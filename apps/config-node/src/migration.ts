import { crashOnDefect, sleep } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import { SchemaTooNew } from '#libs/postgres';
import type { ConfigStore } from './store/config.store.js';

const RETRY_MS = 500;

/** Nodes start together, and before the database: one of them makes the schema, whenever that becomes possible. */
export async function migrateWhenPossible(
  store: Pick<ConfigStore, 'migrate'>,
  migrated: () => void,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      await store.migrate();
      migrated();
      return;
    } catch (error) {
      if (error instanceof SchemaTooNew) throw error;
      crashOnDefect(error);
      if (attempt === 0) logger.warn({ error }, 'migrating the schema failed: it is tried again');
      await sleep(RETRY_MS);
    }
  }
}
