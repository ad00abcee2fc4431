import { migration0001 } from './0001-consistency.js';
import { migration0002 } from './0002-truth.js';

export const CONSISTENCY_MIGRATIONS: readonly string[] = [migration0001, migration0002];
