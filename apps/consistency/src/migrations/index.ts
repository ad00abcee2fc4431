import { migration0001 } from './0001-consistency.js';

export const CONSISTENCY_MIGRATIONS: readonly string[] = [migration0001];
