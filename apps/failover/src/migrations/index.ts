import { migration0001 } from './0001-failover.js';
import { migration0002 } from './0002-recovery.js';

export const FAILOVER_MIGRATIONS: readonly string[] = [migration0001, migration0002];
