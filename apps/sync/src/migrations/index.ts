import { migration0001 } from './0001-sync.js';
import { migration0002 } from './0002-sync-progress.js';

export const SYNC_MIGRATIONS: readonly string[] = [migration0001, migration0002];
