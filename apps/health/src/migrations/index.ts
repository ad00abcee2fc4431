import { migration0001 } from './0001-health.js';

export const HEALTH_MIGRATIONS: readonly string[] = [migration0001];
