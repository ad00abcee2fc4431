import { migration0001 } from './0001-failover.js';

export const FAILOVER_MIGRATIONS: readonly string[] = [migration0001];
