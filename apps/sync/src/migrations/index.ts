import { migration0001 } from './0001-sync.js';

export const SYNC_MIGRATIONS: readonly string[] = [migration0001];
